//! Headers of OTLP requests.

use http::{HeaderName, HeaderValue};

use super::{
    Otlp, SetupError,
    variables::{self, Variables},
};

pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

pub(crate) fn headers_of(variables: &Variables, name: &str) -> Result<Option<Headers>, SetupError> {
    let Some(list) = variables.text(name) else { return Ok(None) };
    let headers = variables::pairs(&list).and_then(|pairs| {
        pairs.iter().map(|(name, value)| header(name, value)).collect::<Option<Vec<_>>>()
    });
    match headers {
        Some(headers) => Ok(Some(headers)),
        None => Err(SetupError::secret_variable(
            name,
            "name=value pairs separated by commas, the values percent-encoded",
        )),
    }
}

pub(crate) fn headers_in_code(otlp: &Otlp) -> Result<Headers, SetupError> {
    let headers = otlp.headers.iter();
    headers
        .map(|(name, value)| {
            header(name, value).ok_or_else(|| {
                SetupError::setting("Otlp::with_header", format_args!("{name:?} is no header"))
            })
        })
        .collect()
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}
