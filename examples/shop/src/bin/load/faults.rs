//! The faults of a scenario.

use std::{error, iter};

use axum::{
    body::Bytes,
    http::{Request, Uri},
};
use http_body_util::Full;

use crate::{Error, HttpClient, Scenario, Settings, customers::at};

/// Sets the faults of backend and supplier, if the scenarios of this run need some.
pub(crate) async fn set(
    settings: &Settings,
    client: &HttpClient,
    scenario: Scenario,
) -> Result<(), Error> {
    if matches!(settings.scenario, Scenario::Normal | Scenario::Saturated) {
        return Ok(());
    }
    let (backend, supplier) = match scenario {
        Scenario::Normal | Scenario::Saturated | Scenario::All => ("none", "none"),
        Scenario::Slow => ("slow", "slow"),
        Scenario::Errors => ("errors", "errors"),
        Scenario::Dead => ("none", "dead"),
    };
    put(client, &settings.backend_ops, backend).await?;
    put(client, &settings.supplier, supplier).await
}

async fn put(client: &HttpClient, process: &Uri, fault: &'static str) -> Result<(), Error> {
    let url = at(process, "/fault");
    let request = Request::put(&url).body(Full::from(Bytes::from_static(fault.as_bytes())))?;
    let answer = client.request(request).await.map_err(|error| {
        let causes = iter::successors(Some(&error as &dyn error::Error), |error| error.source());
        format!("{url}: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    })?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("{url}: {}", answer.status()).into()),
    }
}
