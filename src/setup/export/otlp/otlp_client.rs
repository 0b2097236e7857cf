//! Encodes requests, and sends each of them once.

use std::{
    fmt,
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use flate2::{Compression as Level, write::GzEncoder};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE, TE, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time;

use super::{
    connector::{self, Send},
    export_failure::{ExportFailure, LONGEST_ANSWER, Obstacle, Refusal},
    export_request::ExportRequest,
    receiver_answer::{Answer, retry_after, retry_info, status_message},
};
use crate::{
    convention::GrpcCode,
    percent,
    setup::settings::{Compression, Destination, OtlpProtocol},
};

/// Sends the requests of one signal to one destination.
pub(crate) struct OtlpClient {
    /// Replaced after an attempt that got no answer.
    send: Mutex<Arc<Send>>,
    destination: Destination,
    uri: Uri,
    headers: HeaderMap,
    protocol: OtlpProtocol,
    is_compressed: bool,
    /// The values of the destination's headers.
    secrets: Vec<String>,
}

impl fmt::Debug for OtlpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpClient").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl OtlpClient {
    pub(crate) fn new<R: ExportRequest>(destination: &Destination) -> Self {
        let protocol = destination.protocol;
        let is_compressed = destination.compression == Compression::Gzip;
        let values = destination.headers.iter().filter_map(|(_, value)| value.to_str().ok());
        Self {
            send: Mutex::new(connector::client(destination)),
            destination: destination.clone(),
            uri: match protocol {
                OtlpProtocol::Grpc => method_uri::<R>(&destination.endpoint),
                _ => destination.endpoint.clone(),
            },
            headers: headers(&destination.headers, protocol, is_compressed),
            protocol,
            is_compressed,
            secrets: values.flat_map(secrets_in).map(str::to_owned).collect(),
        }
    }

    /// Encodes a request once for all attempts. Fails with its size if it is larger than a request
    /// should be, before compression.
    pub(super) fn encode<R: ExportRequest>(&self, request: &R) -> Result<Bytes, ExportFailure> {
        let plain = match self.protocol {
            // Telemetry has no map with keys that are no strings.
            OtlpProtocol::HttpJson => serde_json::to_vec(request).unwrap_or_default(),
            _ => request.encode_to_vec(),
        };
        let limit = if self.protocol == OtlpProtocol::Grpc { GRPC_LIMIT } else { HTTP_LIMIT };
        if plain.len() > limit {
            return Err(ExportFailure::TooLarge { size: plain.len(), limit });
        }
        let body = if self.is_compressed { gzip(&plain) } else { plain };
        Ok(match self.protocol {
            OtlpProtocol::Grpc => frame(&body, self.is_compressed),
            _ => body.into(),
        })
    }

    /// Sends an encoded request, and waits for the answer.
    pub(super) async fn attempt(&self, body: Bytes) -> Result<Answer, ExportFailure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let send = Arc::clone(&self.send());
        let answer = async {
            let response = send(request).await;
            let response =
                response.map_err(|error| ExportFailure::NoAnswer(Obstacle::of(&error)))?;
            self.read(response).await
        };
        let timeout = self.destination.timeout;
        match time::timeout(timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                // A connection that was lost without a reset would be used until TCP gives up on it.
                // Pings would find it, too, but gRPC servers end connections that ping often.
                *self.send() = connector::client(&self.destination);
                Err(ExportFailure::NoAnswer(Obstacle::Timeout(timeout)))
            }
        }
    }

    fn send(&self) -> MutexGuard<'_, Arc<Send>> {
        self.send.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, ExportFailure> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| {
            match error.downcast_ref::<LengthLimitError>() {
                Some(_) => ExportFailure::LongAnswer,
                None => ExportFailure::NoAnswer(Obstacle::of(&*error)),
            }
        })?;
        let trailers = body.trailers().cloned();
        let body = body.to_bytes();
        let is_grpc = self.protocol == OtlpProtocol::Grpc;
        let trailers = trailers.as_ref().unwrap_or(&head.headers);
        if let (true, Some(code)) = (is_grpc, GrpcCode::of_headers(trailers)) {
            if code == GrpcCode::OK {
                // Without its frame: a flag and the length.
                return Ok(self.answer(Answer::of_protobuf(body.get(5..).unwrap_or_default())));
            }
            let message = trailers.get("grpc-message").map(|text| percent::decode(text.as_bytes()));
            let message = self.quote(&message.unwrap_or_default());
            let retry_after = retry_info(trailers);
            return Err(ExportFailure::Grpc(code, Refusal { message, retry_after }));
        }
        // A gRPC answer without a gRPC status comes from a proxy, or from a receiver that expects
        // another protocol.
        if is_grpc || !head.status.is_success() {
            let message = self.quote(&status_message(&body, self.is_json()));
            let retry_after = retry_after(&head.headers);
            return Err(ExportFailure::Http(head.status, Refusal { message, retry_after }));
        }
        let answer = if self.is_json() { Answer::of_json } else { Answer::of_protobuf };
        Ok(self.answer(answer(&body)))
    }

    fn answer(&self, answer: Answer) -> Answer {
        Answer { message: self.quote(&answer.message), ..answer }
    }

    fn is_json(&self) -> bool {
        self.protocol == OtlpProtocol::HttpJson
    }

    /// Returns the receiver's words, cut, and without what a receiver may repeat of the headers.
    fn quote(&self, message: &str) -> String {
        let mut message = message.to_owned();
        for secret in &self.secrets {
            message = message.replace(secret, "***");
        }
        let end = message.char_indices().nth(LONGEST_MESSAGE).map_or(message.len(), |(end, _)| end);
        message.truncate(end);
        message
    }
}

fn method_uri<R: ExportRequest>(endpoint: &Uri) -> Uri {
    let mut parts = endpoint.clone().into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(R::METHOD));
    // Scheme and authority stay, and the path is valid.
    Uri::from_parts(parts).unwrap_or_default()
}

fn headers(
    configured: &[(HeaderName, HeaderValue)],
    protocol: OtlpProtocol,
    is_compressed: bool,
) -> HeaderMap {
    const GZIP: HeaderValue = HeaderValue::from_static("gzip");

    let mut headers: HeaderMap = configured.iter().cloned().collect();
    let product = HeaderValue::from_static(PRODUCT);
    let user_agent = match headers.get(USER_AGENT) {
        Some(first) => {
            let both = [first.as_bytes(), b" ", product.as_bytes()].concat();
            HeaderValue::from_bytes(&both).unwrap_or(product)
        }
        None => product,
    };
    headers.insert(USER_AGENT, user_agent);
    let content_type = match protocol {
        OtlpProtocol::Grpc => "application/grpc",
        OtlpProtocol::HttpProtobuf => "application/x-protobuf",
        OtlpProtocol::HttpJson => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if protocol == OtlpProtocol::Grpc {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if is_compressed {
            headers.insert("grpc-encoding", GZIP);
        }
    } else if is_compressed {
        headers.insert(CONTENT_ENCODING, GZIP);
    }
    headers
}

/// Returns the parts of a header's value that may be secret: the words of `Bearer s3cret`.
fn secrets_in(value: &str) -> impl Iterator<Item = &str> {
    value.split_ascii_whitespace().filter(|word| word.len() >= SHORTEST_SECRET)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Level::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// Puts a message into the frame of gRPC: a flag, its length, and itself.
fn frame(message: &[u8], is_compressed: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.extend_from_slice(&[is_compressed.into()]);
    // A message is at most `GRPC_LIMIT` long.
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.freeze()
}

/// The limits that the specification recommends.
const GRPC_LIMIT: usize = 4 << 20;
const HTTP_LIMIT: usize = 20 << 20;

/// Longer messages of receivers are cut. The unit is characters.
const LONGEST_MESSAGE: usize = 200;

/// A shorter word of a header would be replaced in harmless texts.
const SHORTEST_SECRET: usize = 4;

const PRODUCT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
