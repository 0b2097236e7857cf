//! Levels: the filter of recorded events.

use std::{env, fmt};

use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, Filter},
};

use crate::stdout;

/// Levels by target, as `RUST_LOG` names them: `info`, or `warn,shop=debug`.
///
/// It is the filter of [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines), for a
/// subscriber of your own. As a layer it filters for the whole subscriber, as a filter
/// ([`with_filter`](Layer::with_filter)) for one layer. Compared with [`Targets`]:
///
/// - An invalid directive is ignored and reported; the others hold.
/// - Warnings of this crate are recorded unless a directive names it, or everything is off.
/// - What the OpenTelemetry SDK says below `warn` is recorded only if a directive names the SDK.
///
/// Filters by span (`shop[{user=1}]=debug`) are not supported and count as invalid.
/// `tracing_subscriber::EnvFilter` supports them, at the price of a regular expression engine and a
/// lock for each span that is entered.
///
/// # Example
///
/// ```
/// use tower_telemetry::logs::{self, Levels};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let subscriber = tracing_subscriber::registry().with(logs::json()).with(Levels::from_env());
/// # drop(subscriber);
/// ```
#[derive(Debug, Clone)]
pub struct Levels {
    targets: Targets,
    /// The directives that are in effect.
    accepted: String,
    rejected: Vec<String>,
}

impl Levels {
    /// Reads `RUST_LOG`. Without it, `info` and above is recorded.
    ///
    /// An invalid directive is reported on standard error.
    pub fn from_env() -> Self {
        let levels = Self::new(&env::var("RUST_LOG").unwrap_or_default());
        levels.rejected.iter().for_each(|rejected| stdout::warn(rejected));
        levels
    }

    /// Reads directives, separated by commas. Without any, `info` and above is recorded.
    pub fn new(directives: &str) -> Self {
        let (accepted, rejected): (Vec<_>, Vec<_>) =
            split(directives).partition(|directive| is_valid(directive));
        let accepted = if accepted.is_empty() { "info".to_owned() } else { accepted.join(",") };
        let rejected = rejected.into_iter().map(rejection).collect();
        Self { targets: targets(&accepted), accepted, rejected }
    }

    /// Adds directives, which override those that are there. The error says what is wrong.
    ///
    /// A word that is no level is not taken for a target: it is likely misspelled.
    pub(super) fn with(&self, directives: &str) -> Result<Self, String> {
        let mut accepted = self.accepted.clone();
        let mut is_empty = true;
        for directive in split(directives) {
            let is_named = directive.contains('=') || directive.parse::<LevelFilter>().is_ok();
            if !is_named || !is_valid(directive) {
                return Err(match directive.contains('[') {
                    true => format!(
                        "filters by span are not supported, as in {directive:?}: {A_TARGET}"
                    ),
                    false => format!("invalid directive {directive:?}: {A_LEVEL}"),
                });
            }
            accepted.extend([",", directive]);
            is_empty = false;
        }
        if is_empty {
            return Err(format!("no directives: {A_LEVEL}"));
        }
        Ok(Self { targets: targets(&accepted), accepted, rejected: Vec::new() })
    }

    /// Returns a sentence for each directive that was ignored.
    pub fn rejected(&self) -> &[String] {
        &self.rejected
    }
}

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        <Targets as Layer<S>>::register_callsite(&self.targets, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: Context<'_, S>) -> bool {
        <Targets as Layer<S>>::enabled(&self.targets, metadata, cx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        <Targets as Layer<S>>::max_level_hint(&self.targets)
    }
}

impl<S> Filter<S> for Levels {
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        <Targets as Filter<S>>::callsite_enabled(&self.targets, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        <Targets as Filter<S>>::enabled(&self.targets, metadata, cx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        <Targets as Filter<S>>::max_level_hint(&self.targets)
    }
}

/// Displays the directives in effect.
impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.accepted)
    }
}

/// Splits at commas outside of the brackets of a span filter.
fn split(directives: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let directives = directives.split(move |c| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    directives.map(str::trim).filter(|text| !text.is_empty())
}

fn is_valid(directive: &str) -> bool {
    directive.parse::<Targets>().is_ok() && !directive.contains('[')
}

/// `directives` are valid.
fn targets(directives: &str) -> Targets {
    with_own_targets(directives.parse().unwrap_or_default())
}

fn rejection(directive: &str) -> String {
    match directive.contains('[') {
        true => format!(
            "RUST_LOG: filters by span are not supported, {directive:?} is ignored: {A_TARGET}"
        ),
        false => format!("RUST_LOG: invalid directive {directive:?} is ignored: {A_LEVEL}"),
    }
}

fn with_own_targets(mut levels: Targets) -> Targets {
    let is_named = |target: &str| levels.iter().any(|(name, _)| name.starts_with(target));
    let default = levels.default_level().unwrap_or(LevelFilter::OFF);
    let is_off =
        default == LevelFilter::OFF && levels.iter().all(|(_, level)| level == LevelFilter::OFF);
    let is_crate_decided = is_off || is_named(stdout::TARGET);
    // The SDK logs its start and its end, which helps nobody but its authors.
    let is_sdk_decided = default < LevelFilter::WARN || is_named(SDK_TARGETS);
    if !is_crate_decided {
        levels = levels.with_target(stdout::TARGET, LevelFilter::WARN);
    }
    if !is_sdk_decided {
        levels = levels.with_target(SDK_TARGETS, LevelFilter::WARN);
    }
    levels
}

const A_TARGET: &str = "name a target and a level, such as shop=debug";
const A_LEVEL: &str = "expected a level (off, error, warn, info, debug, trace) or target=level";

/// The prefix of the targets of the SDK and its exporters.
const SDK_TARGETS: &str = "opentelemetry";
