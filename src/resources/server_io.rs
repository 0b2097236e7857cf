//! The IO of a connection that a server has accepted, for tonic.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use super::{OpenConnection, ServerConnectionsLayer};

impl ServerConnectionsLayer {
    /// Counts an accepted connection as open until its IO is dropped.
    ///
    /// It is for the `incoming` of tonic's `serve_with_incoming`. The connection info of the IO goes
    /// on working.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use tokio::net::TcpListener;
    /// use tokio_stream::StreamExt;
    /// use tonic::transport::{Server, server::TcpIncoming};
    /// use tower_telemetry::resources::ServerConnectionsLayer;
    ///
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let connections = ServerConnectionsLayer::new();
    /// let incoming = TcpIncoming::from(TcpListener::bind("127.0.0.1:0").await?);
    /// let incoming = incoming.map(move |io| io.map(|io| connections.wrap_io(io)));
    /// let (_, health) = tonic_health::server::health_reporter();
    /// Server::builder().add_service(health).serve_with_incoming(incoming).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap_io<T>(&self, io: T) -> ServerIo<T> {
        ServerIo { inner: io, open: self.open() }
    }
}

pin_project! {
    /// The IO of a connection that is counted; see [`ServerConnectionsLayer::wrap_io`].
    #[derive(Debug)]
    pub struct ServerIo<T> {
        #[pin]
        inner: T,
        open: OpenConnection,
    }
}

impl<T: Connected> Connected for ServerIo<T> {
    type ConnectInfo = T::ConnectInfo;

    fn connect_info(&self) -> T::ConnectInfo {
        self.inner.connect_info()
    }
}

impl<T: AsyncRead> AsyncRead for ServerIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().inner.poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite> AsyncWrite for ServerIo<T> {
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
