//! Sends requests until they are delivered, refused or given up: the one retry loop.

use std::{sync::Arc, time::Duration};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::{
    backoff::Backoff, export_failure::ExportFailure, export_request::ExportRequest,
    otlp_client::OtlpClient,
};
use crate::setup::export::{items::Items, ledger::Ledger};

/// The phases of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// The shutdown has begun.
    Ending,
    /// The deadline of the shutdown has passed.
    Abandoned,
}

/// Sends the requests of one signal, and accounts for them.
#[derive(Debug)]
pub(crate) struct OtlpSender {
    pub(crate) client: OtlpClient,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) phase: watch::Receiver<Phase>,
    /// The time after which a request is dropped that was not delivered.
    pub(crate) limit: Option<Duration>,
}

impl OtlpSender {
    /// Sends a request, in parts if it is too large. All its items have an outcome afterwards, even
    /// if the future is dropped.
    pub(crate) async fn deliver<R: ExportRequest>(
        &self,
        request: R,
        items: Items,
    ) -> OTelSdkResult {
        let mut rest = vec![(request, items)];
        let mut result = Ok(());
        while let Some((mut request, items)) = rest.pop() {
            let encoded = self.client.encode(&request);
            if let Err(ExportFailure::TooLarge { .. }) = encoded
                && let Some(second) = request.split()
            {
                let (items, of_second) = items.split(second.items());
                rest.extend([(second, of_second), (request, items)]);
                continue;
            }
            drop(request);
            let outcome = match encoded {
                Ok(body) => self.send(body, items).await,
                Err(failure) => Err(items.lost(failure, None)),
            };
            result = outcome.and(result);
        }
        result.map_err(|failure: ExportFailure| OTelSdkError::InternalFailure(failure.to_string()))
    }

    async fn send(&self, body: bytes::Bytes, items: Items) -> Result<(), ExportFailure> {
        let (mut phase, mut end) = (self.phase.clone(), self.phase.clone());
        let mut backoff = Backoff::default();
        let began = Instant::now();
        loop {
            let attempted = Instant::now();
            let outcome = tokio::select! {
                biased;
                outcome = self.client.attempt(body.clone()) => outcome,
                () = abandoned(&mut end) => Err(ExportFailure::Abandoned),
            };
            self.ledger.attempted(attempted.elapsed(), outcome.as_ref().err());
            let failure = match outcome {
                Ok(answer) => {
                    items.delivered(&answer);
                    return Ok(());
                }
                Err(ExportFailure::Abandoned) => {
                    return Err(items.given_up(ExportFailure::Abandoned));
                }
                Err(failure) if !failure.is_retryable() => return Err(items.lost(failure, None)),
                Err(failure) => failure,
            };
            let lasted = began.elapsed();
            if self.limit.is_some_and(|limit| lasted >= limit) {
                return Err(items.lost(failure, self.limit));
            }
            // A receiver that was away before the shutdown began, and still is, is not awaited.
            let is_ending = *phase.borrow_and_update() != Phase::Running;
            if is_ending && failure.is_lasting() && self.ledger.was_failing() {
                return Err(items.lost(failure, Some(lasted)));
            }
            self.ledger.delayed(&failure, lasted);
            let pause = backoff.pause(failure.retry_after());
            let left = self.limit.map_or(pause, |limit| limit.saturating_sub(lasted));
            // The shutdown does not wait for the end of a pause of our own.
            let is_own = failure.retry_after().is_none();
            tokio::select! {
                biased;
                () = abandoned(&mut end) => {
                    return Err(items.lost(failure, Some(began.elapsed())));
                }
                _ = phase.changed(), if is_own && !is_ending => {}
                () = time::sleep(pause.min(left)) => {}
            }
        }
    }
}

/// Waits until exports are abandoned, or the telemetry they belong to is gone.
async fn abandoned(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Abandoned).await;
}
