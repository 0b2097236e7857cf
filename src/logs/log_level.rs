//! Levels that change at run time, and change back.

use std::{
    error, fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Dispatch, Metadata, Subscriber,
    level_filters::LevelFilter,
    subscriber::{Interest, NoSubscriber},
};
use tracing_log::{AsLog, log};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
};

use super::{Levels, LogLevelService};
use crate::stdout;

/// Levels that an operator changes while the program runs. They change back by themselves.
///
/// [`Telemetry::log_level`](crate::Telemetry::log_level) is the handle of the lines of
/// [`with_log_lines`](crate::setup::TelemetryBuilder::with_log_lines), and
/// [`service`](Self::service) lets an operator use it over HTTP. In a subscriber of your own, `LogLevel`
/// takes the place of [`Levels`]: it is a layer that filters for the whole subscriber, and a filter for
/// one layer.
///
/// ```
/// use std::time::Duration;
/// use tower_telemetry::logs::{self, Levels, LogLevel};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let level = LogLevel::new(Levels::from_env());
/// let subscriber = tracing_subscriber::registry().with(logs::json()).with(level.clone());
/// # let _guard = tracing::subscriber::set_default(subscriber);
///
/// level.set("shop=debug,hyper=info", Duration::from_secs(600))?;
/// assert_eq!(level.current(), "info,shop=debug,hyper=info");
/// level.reset();
/// assert_eq!(level.current(), "info");
/// # Ok(())
/// # }
/// ```
///
/// A change and its end are notices of this crate: `tracing` events of the level `warn`, with the target
/// `tower_telemetry`. Clones are handles of the same levels.
///
/// # Cost
///
/// `tracing` remembers for each event whether it is recorded, and asks again after a change. Only new
/// spans ask each time: an atomic load, and a lock while a change is in effect. A thread waits for the end
/// of a change, and there is none otherwise.
#[derive(Clone)]
pub struct LogLevel(Arc<Shared>);

struct Shared {
    configured: Levels,
    /// Set while `change` has a value, so that readers need no lock otherwise.
    is_changed: AtomicBool,
    change: RwLock<Option<Levels>>,
    timer: Mutex<Timer>,
    wakes: Condvar,
    /// A subscriber asks these levels.
    is_used: AtomicBool,
    /// The maximum level of the `log` crate follows these levels.
    rules_log: AtomicBool,
}

#[derive(Default)]
struct Timer {
    /// The end of the change that is in effect.
    end: Option<Instant>,
    has_thread: bool,
}

impl LogLevel {
    /// Creates levels that can be changed. They have to be added to a subscriber.
    pub fn new(levels: Levels) -> Self {
        Self(Arc::new(Shared {
            configured: levels,
            is_changed: AtomicBool::new(false),
            change: RwLock::new(None),
            timer: Mutex::default(),
            wakes: Condvar::new(),
            is_used: AtomicBool::new(false),
            rules_log: AtomicBool::new(false),
        }))
    }

    /// Adds these directives to the configured ones for some time, in the place of an earlier change.
    ///
    /// `debug` changes the level of everything that no target names, `shop=debug` that of one target. The
    /// rest stays as it is configured.
    ///
    /// # Errors
    ///
    /// If a directive is neither a level nor `target=level`, if there are none or more than 2000 bytes of
    /// them, if the duration is zero or longer than 24 hours, or if no subscriber uses these levels.
    pub fn set(&self, directives: &str, duration: Duration) -> Result<(), LogLevelError> {
        let shared = &self.0;
        self.check_use()?;
        if duration.is_zero() || duration > LONGEST {
            return Err(LogLevelError::new(INVALID_DURATION));
        }
        if directives.len() > LONGEST_DIRECTIVES {
            return Err(LogLevelError::new("expected directives of at most 2000 bytes"));
        }
        let changed = shared.configured.with(directives).map_err(LogLevelError::new)?;
        let notice = format!("the log levels are {changed} for {}", Seconds(duration));
        {
            let mut timer = shared.timer();
            if !timer.has_thread {
                let level = self.clone();
                let thread = thread::Builder::new().name("telemetry-levels".to_owned());
                // Without a thread the change would last.
                let spawned = thread.spawn(move || level.wait());
                spawned.map_err(|_| LogLevelError::new("no thread can wait for the end"))?;
                timer.has_thread = true;
            }
            timer.end = Some(Instant::now() + duration);
            shared.apply(Some(changed));
            shared.wakes.notify_all();
        }
        stdout::warn(&notice);
        Ok(())
    }

    /// Ends a change before its time.
    pub fn reset(&self) {
        let ended = {
            let mut timer = self.0.timer();
            let ended = timer.end.take().is_some();
            if ended {
                self.0.apply(None);
                self.0.wakes.notify_all();
            }
            ended
        };
        if ended {
            self.0.tell_the_end();
        }
    }

    /// Returns the directives in effect: those that are configured, followed by those of a change.
    pub fn current(&self) -> String {
        self.0.with(ToString::to_string)
    }

    /// Returns the configured directives.
    pub fn configured(&self) -> String {
        self.0.configured.to_string()
    }

    /// Returns the rest of a change's time, or `None` if the levels are those that are configured.
    pub fn reverts_in(&self) -> Option<Duration> {
        let end = self.0.timer().end?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    /// Fails if no subscriber uses these levels, which then have no effect.
    pub(super) fn check_use(&self) -> Result<(), LogLevelError> {
        let is_used = self.0.is_used.load(Ordering::Relaxed);
        is_used.then_some(()).ok_or_else(|| LogLevelError::new(UNUSED))
    }

    /// Returns a service that reads and changes the levels over HTTP.
    pub fn service(&self) -> LogLevelService {
        LogLevelService::new(self.clone())
    }

    /// Returns a sentence for each configured directive that was ignored.
    pub(super) fn rejected(&self) -> &[String] {
        self.0.configured.rejected()
    }

    /// Lets the maximum level of the `log` crate follow these levels.
    pub(super) fn rule_log(&self) {
        self.0.rules_log.store(true, Ordering::Relaxed);
        log::set_max_level(LevelFilter::current().as_log());
    }

    /// Waits for the end of the change, in a thread of its own: a runtime may be blocked or absent.
    fn wait(&self) {
        let mut timer = self.0.timer();
        while let Some(end) = timer.end {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                timer.end = None;
                timer.has_thread = false;
                self.0.apply(None);
                drop(timer);
                return self.0.tell_the_end();
            }
            timer = match self.0.wakes.wait_timeout(timer, rest) {
                Ok((timer, _)) => timer,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        timer.has_thread = false;
    }
}

impl Shared {
    /// Puts levels into effect. Callers hold the timer, so that changes don't overtake each other.
    fn apply(&self, change: Option<Levels>) {
        let is_changed = change.is_some();
        *self.change.write().unwrap_or_else(PoisonError::into_inner) = change;
        self.is_changed.store(is_changed, Ordering::Release);
        // As long as `tracing` knows of one subscriber, it asks that of the current thread alone, and this
        // may be the timer's thread, which has none. A second subscriber makes it ask all.
        drop(Dispatch::new(NoSubscriber::default()));
        tracing::callsite::rebuild_interest_cache();
        if self.rules_log.load(Ordering::Relaxed) {
            log::set_max_level(LevelFilter::current().as_log());
        }
    }

    fn tell_the_end(&self) {
        stdout::warn(&format!("the log levels are {} again", self.configured));
    }

    /// Reads the levels in effect.
    fn with<T>(&self, read: impl FnOnce(&Levels) -> T) -> T {
        if !self.is_changed.load(Ordering::Acquire) {
            return read(&self.configured);
        }
        let change = self.change.read().unwrap_or_else(PoisonError::into_inner);
        read(change.as_ref().unwrap_or(&self.configured))
    }

    /// Reads the levels for a subscriber.
    fn ask<T>(&self, read: impl FnOnce(&Levels) -> T) -> T {
        self.is_used.store(true, Ordering::Relaxed);
        self.with(read)
    }

    fn timer(&self) -> MutexGuard<'_, Timer> {
        self.timer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogLevel {
    fn on_layer(&mut self, _: &mut S) {
        self.0.is_used.store(true, Ordering::Relaxed);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.with(|levels| <Levels as Layer<S>>::register_callsite(levels, metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: Context<'_, S>) -> bool {
        self.0.with(|levels| <Levels as Layer<S>>::enabled(levels, metadata, cx))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.with(<Levels as Layer<S>>::max_level_hint)
    }
}

impl<S> Filter<S> for LogLevel {
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.ask(|levels| <Levels as Filter<S>>::callsite_enabled(levels, metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: &Context<'_, S>) -> bool {
        self.0.with(|levels| <Levels as Filter<S>>::enabled(levels, metadata, cx))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.ask(<Levels as Filter<S>>::max_level_hint)
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.current()).finish()
    }
}

/// The error of [`LogLevel::set`]: says what is wrong, and what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevelError(String);

impl LogLevelError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for LogLevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for LogLevelError {}

/// Displays a duration as whole seconds, or as it is if it is shorter.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{:?}", self.0),
            seconds => write!(f, "{seconds} s"),
        }
    }
}

const UNUSED: &str = "no subscriber uses these levels: call `with_log_lines`, or add the `LogLevel` to the \
    subscriber";

const INVALID_DURATION: &str = "expected a duration above zero, and of at most 24 hours";
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST_DIRECTIVES: usize = 2000;
