//! The connector of [`ClientConnections`]: from connecting to closed.

use std::{
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{self, Connected};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ClientConnections, client_connections::Connection};

/// A connector whose connections are counted; see [`ClientConnections::connector`].
#[derive(Debug, Clone)]
pub struct CountedConnector<C> {
    inner: C,
    connections: ClientConnections,
}

impl<C> CountedConnector<C> {
    pub(super) fn new(inner: C, connections: ClientConnections) -> Self {
        Self { inner, connections }
    }
}

impl<C> Service<Uri> for CountedConnector<C>
where
    C: Service<Uri>,
{
    type Response = CountedIo<C::Response>;
    type Error = C::Error;
    type Future = Connecting<C::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connections = self.connections.clone();
        Connecting { inner: self.inner.call(server.clone()), connections, server }
    }
}

pin_project! {
    /// The future of a [`CountedConnector`].
    #[derive(Debug)]
    pub struct Connecting<F> {
        #[pin]
        inner: F,
        connections: ClientConnections,
        server: Uri,
    }
}

impl<F, T, E> Future for Connecting<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<CountedIo<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = ready!(this.inner.poll(cx))?;
        let open = Open { connection: this.connections.open(this.server) };
        Poll::Ready(Ok(CountedIo { inner, open }))
    }
}

/// Closes the connection when its IO is dropped. Responses hold the connection for longer.
struct Open {
    connection: Connection,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.close();
    }
}

pin_project! {
    /// The IO of a connection that is counted.
    pub struct CountedIo<T> {
        #[pin]
        inner: T,
        open: Open,
    }
}

impl<T: connect::Connection> connect::Connection for CountedIo<T> {
    fn connected(&self) -> Connected {
        self.inner.connected().extra(self.open.connection.clone())
    }
}

impl<T: Read> Read for CountedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buffer)
    }
}

impl<T: Write> Write for CountedIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, slices)
    }
}

impl<T: fmt::Debug> fmt::Debug for CountedIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedIo").field("inner", &self.inner).finish_non_exhaustive()
    }
}
