//! A connection: a place among a bounded number, and patience with senders that do not listen.
//!
//! ffmpeg, pushing files over a connection that it keeps, sends the next request without reading
//! the answers to the ones before, and closes at the end. A kernel whose process has closed answers
//! whatever still comes with a reset, which destroys what that process had sent and nobody has
//! received. So an answer goes out when everything that came has been read, and an answer that
//! nobody takes does not end the reading.
//!
//! Owns what is read ahead, to see whether more has come, and the answers that wait for that:
//! a few KiB each. Never loses a byte of a request for the sake of an answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

/// What is read to see whether more has come.
const AHEAD_BYTES: usize = 4 << 10;
/// The most bytes of answers that wait for the reading, and that a sender who is gone is answered
/// between two pieces of what it had sent: answers to footage are some hundred bytes.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// A stream of bytes to and from a client.
#[derive(Debug)]
pub(super) struct Connection<S> {
    inner: S,
    /// Read, and not handed on yet.
    ahead: BytesMut,
    /// How the reading ended, once it has: `None` is an end, an error the error.
    ended: Option<Option<io::ErrorKind>>,
    /// Answers that wait until what came has been read.
    answers: BytesMut,
    /// Whether nobody takes answers any more.
    is_deaf: bool,
    /// Bytes of answers that nobody took since something was read last.
    unheard: usize,
    _place: OwnedSemaphorePermit,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// `inner`, in the place that it takes.
    pub(super) fn new(inner: S, place: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            ahead: BytesMut::new(),
            ended: None,
            answers: BytesMut::new(),
            is_deaf: false,
            unheard: 0,
            _place: place,
        }
    }

    /// Whether something has come that was not handed on. Where nothing has, the task is woken when
    /// it does.
    fn has_more(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ahead.is_empty() && self.ended.is_none() {
            let mut room = [0; AHEAD_BYTES];
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buf) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if buf.filled().is_empty() => self.ended = Some(None),
                Poll::Ready(Ok(())) => self.ahead = BytesMut::from(buf.filled()),
                Poll::Ready(Err(error)) => self.fail(error.kind()),
            }
        }
        !self.ahead.is_empty()
    }

    fn fail(&mut self, kind: io::ErrorKind) {
        self.ended = Some(Some(kind));
        self.is_deaf = true;
    }

    /// Sends the answers that wait. Nobody who is gone makes that fail.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.answers.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.answers)) {
                Ok(len @ 1..) => self.answers.advance(len),
                Ok(0) | Err(_) => {
                    self.is_deaf = true;
                    self.answers.clear();
                }
            }
        }
        // The room is given back: most connections are idle.
        self.answers = BytesMut::new();
        Poll::Ready(())
    }

    /// Takes `len` bytes of an answer that nobody will take, as long as there is something to read.
    fn unheard(&mut self, len: usize) -> io::Result<usize> {
        self.unheard += len;
        let over = self.ahead.is_empty() && self.ended.is_some();
        if over || self.unheard > ANSWER_BYTES_MAX {
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
        let more = self.has_more(cx);
        if self.is_deaf {
            return Poll::Ready(self.unheard(len));
        }
        if more && self.answers.len() + len <= ANSWER_BYTES_MAX {
            bufs.iter().for_each(|buf| self.answers.extend_from_slice(buf));
            return Poll::Ready(Ok(len));
        }
        ready!(self.poll_answers(cx));
        if self.is_deaf {
            return Poll::Ready(self.unheard(len));
        }
        match ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(_) => {
                self.is_deaf = true;
                Poll::Ready(self.unheard(len))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let len = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead.split_to(len));
            if this.ahead.is_empty() {
                this.ahead = BytesMut::new();
            }
            this.unheard = 0;
            return Poll::Ready(Ok(()));
        }
        if let Some(how) = this.ended {
            return Poll::Ready(how.map_or(Ok(()), |kind| Err(kind.into())));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Pending => {
                // Everything that came has been read: now answers hurt nobody. Whether they all
                // go out now or when the socket takes more is no business of the reader.
                let _sent_or_woken = this.poll_answers(cx);
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) if buf.filled().len() == before => this.ended = Some(None),
            Poll::Ready(Ok(())) => this.unheard = 0,
            Poll::Ready(Err(error)) => {
                this.fail(error.kind());
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
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
            if this.has_more(cx) {
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
