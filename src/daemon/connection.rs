//! A connection: a place among a bounded number, and patience with senders that do not listen.
//!
//! ffmpeg, pushing files over a connection that it keeps, sends the next request without reading
//! the answers to the ones before, and closes at the end. A kernel whose process has closed answers
//! whatever still comes with a reset, which destroys what that process had sent and nobody has
//! received. So an answer goes out when everything that came has been read, and an answer that
//! nobody takes does not end the reading. What the sender's kernel keeps back until it hears that
//! we have the rest (Nagle's algorithm) is asked for first. It is below TLS: what is said of bytes
//! is true of encrypted ones.
//!
//! Owns the answers that wait for that: some KiB. Never loses a byte of a request for the sake of
//! an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use rustix::net::{RecvFlags, recv, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// The most bytes of answers that wait for the reading, and that a sender who is gone is answered
/// between two pieces of what it had sent: answers to footage are some hundred bytes.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A stream of bytes to and from a client.
#[derive(Debug)]
pub(super) struct Connection {
    inner: TcpStream,
    /// Whether the reading has ended.
    has_ended: bool,
    /// Answers that wait until what came has been read.
    answers: BytesMut,
    /// Whether nobody takes answers any more.
    is_deaf: bool,
    /// Bytes of answers that nobody took since something was read last.
    unheard: usize,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// `inner`, in the place that it takes.
    pub(super) fn new(inner: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            has_ended: false,
            answers: BytesMut::new(),
            is_deaf: false,
            unheard: 0,
            _place: place,
        }
    }

    /// Whether something has come that was not read.
    fn has_more(&self) -> bool {
        if self.has_ended {
            return false;
        }
        let mut byte = [0];
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        // Asked of the kernel: what the runtime knows is of a moment ago.
        recv(&self.inner, &mut byte[..], look).is_ok_and(|(_, len)| len > 0)
    }

    /// Whether everything that came has been read, and the sender's kernel, told so at once, has
    /// nothing that it kept back for that.
    fn is_drained(&self) -> bool {
        if self.has_more() {
            return false;
        }
        // Where it cannot be told at once, it is told a little later.
        sockopt::set_tcp_quickack(&self.inner, true).ok();
        !self.has_more()
    }

    /// Sends the answers that wait. Nobody who is gone makes that fail.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.answers.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.answers));
            if let Ok(len @ 1..) = written {
                self.answers.advance(len);
            } else {
                self.is_deaf = true;
                self.answers.clear();
            }
        }
        // The room is given back: most connections are idle.
        self.answers = BytesMut::new();
        Poll::Ready(())
    }

    /// Takes `len` bytes of an answer that nobody will take, as long as there is something to read.
    fn unheard(&mut self, len: usize) -> io::Result<usize> {
        self.unheard += len;
        if self.has_ended || self.unheard > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(len)
    }

    /// Writes the slices as one: now, later, or never.
    fn poll_slices(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        let is_small = self.answers.len() + len <= ANSWER_BYTES_MAX;
        let waits = is_small && !self.is_drained();
        if self.is_deaf {
            return Poll::Ready(self.unheard(len));
        }
        if waits {
            for buf in bufs {
                self.answers.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(len));
        }
        ready!(self.poll_answers(cx));
        if self.is_deaf {
            return Poll::Ready(self.unheard(len));
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        if written.is_err() {
            self.is_deaf = true;
            return Poll::Ready(self.unheard(len));
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => this.unheard = 0,
            Poll::Ready(Ok(())) => this.has_ended = true,
            Poll::Ready(Err(_)) => (this.has_ended, this.is_deaf) = (true, true),
            Poll::Pending => {
                if !this.answers.is_empty() && this.is_drained() {
                    // Now answers hurt nobody. Whether they go out at once or when the socket takes
                    // more is no business of the reader.
                    let _sent_or_woken = this.poll_answers(cx);
                }
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_slices(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.answers.is_empty() {
            if !this.is_drained() {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_answers(cx));
        }
        let flushed = ready!(Pin::new(&mut this.inner).poll_flush(cx));
        this.is_deaf |= flushed.is_err();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_answers(cx));
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
