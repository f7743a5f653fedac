//! The body of an answer whose bytes are read while it is sent.
//!
//! A channel of our own: that of `http-body-util` (0.1) looks first for chunks and then whether its
//! sender is gone, and loses the chunk that comes in between when the sender goes right behind it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// Makes a body of chunks, of which `waiting_max` may wait.
pub(super) fn chunks(waiting_max: usize) -> (ChunkSender, Chunks) {
    let (sender, receiver) = mpsc::channel(waiting_max);
    let is_whole = Arc::new(AtomicBool::new(false));
    (ChunkSender { sender, is_whole: Arc::clone(&is_whole) }, Chunks { receiver, is_whole })
}

/// Where the chunks come from. Dropped without [`ChunkSender::finish`], it cuts the answer short.
#[derive(Debug)]
pub(super) struct ChunkSender {
    sender: mpsc::Sender<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl ChunkSender {
    /// Sends a chunk, once there is room for it; `false` when nobody reads any more.
    pub(super) async fn send(&self, chunk: Bytes) -> bool {
        self.sender.send(chunk).await.is_ok()
    }

    /// Says that everything was sent.
    pub(super) fn finish(self) {
        self.is_whole.store(true, Ordering::Release);
    }
}

/// The body.
#[derive(Debug)]
pub(super) struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let chunk = ready!(self.receiver.poll_recv(context));
        Poll::Ready(match chunk {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            // The sender is gone, and everything that it sent was taken.
            None if self.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err(CutShort)),
        })
    }
}

/// Why a body ends before its length: the client sees a connection that breaks off.
#[derive(Debug)]
pub(super) struct CutShort;

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is cut short")
    }
}

impl std::error::Error for CutShort {}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_chunk_that_is_sent_right_before_the_end_arrives() {
        for round in 0..100_000_u32 {
            let (sender, body) = chunks(4);
            tokio::spawn(async move {
                sender.send(Bytes::from_static(b"first")).await;
                sender.send(Bytes::from_static(b" and last")).await;
                sender.finish();
            });
            let bytes = body.collect().await.unwrap().to_bytes();
            assert_eq!(bytes, "first and last", "round {round}");
        }
    }

    #[tokio::test]
    async fn a_sender_that_goes_without_a_word_cuts_the_answer_short() {
        let (sender, body) = chunks(4);
        assert!(sender.send(Bytes::from_static(b"half")).await);
        drop(sender);
        assert!(body.collect().await.is_err());
        let (sender, body) = chunks(4);
        drop(body);
        assert!(!sender.send(Bytes::from_static(b"nobody reads")).await);
    }
}
