//! A body a worker is making, as an answer. Dropping it (the client is gone) closes the channel.

use super::Cache;
use crate::base::{Error, Result};
use crate::render::bytes::Streaming;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Answers with a stream whose first chunk is there.
pub fn streamed(content_type: &str, streaming: Streaming) -> HttpResponse {
    let Streaming { first, rest, end } = streaming;
    let body = Body { first: Some(first), rest, end, over: false };
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header(Cache::Revalidate.header())
        .body(BoxBody::new(body))
}

struct Body {
    first: Option<Bytes>,
    rest: tokio::sync::mpsc::Receiver<Bytes>,
    end: crate::pool::Ticket<()>,
    over: bool,
}

impl MessageBody for Body {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(bytes) = ready!(self.rest.poll_recv(context)) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        // The channel is dry, which says nothing about success: an error here breaks the connection off, so that
        // the client does not take half a cut for a whole one.
        let ended = ready!(Pin::new(&mut self.end).poll(context));
        self.over = true;
        Poll::Ready(ended.err().map(Err))
    }
}
