//! Debian's Chromium, driven over its debugging protocol.

use std::{env, fs, path::PathBuf, time::Duration};

use chromiumoxide::{
    BrowserConfig,
    cdp::{
        browser_protocol::{
            emulation::{MediaFeature, SetDeviceMetricsOverrideParams},
            input::{DispatchKeyEventParams, DispatchKeyEventType},
            log::EventEntryAdded,
            page::{CaptureScreenshotFormat, EventJavascriptDialogOpening},
        },
        js_protocol::runtime::{EventConsoleApiCalled, EventExceptionThrown},
    },
    layout::Point,
    listeners::EventStream,
    page::ScreenshotParams,
};
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

/// A browser with a profile of its own.
pub struct Browser {
    browser: chromiumoxide::Browser,
    handler: JoinHandle<()>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium, which `CHROMIUM` names if it is not at Debian's place.
    pub async fn start() -> Self {
        let path =
            env::var_os("CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from);
        assert!(
            path.exists(),
            "there is no browser at {}: run `apt-get install chromium`, or set CHROMIUM",
            path.display()
        );
        let profile = TempDir::new().expect("there is a temporary folder");
        let config = BrowserConfig::builder()
            .chrome_executable(path)
            .no_sandbox()
            .new_headless_mode()
            .user_data_dir(profile.path())
            .viewport(None)
            .build()
            .expect("the configuration is complete");
        let (browser, mut handler) =
            chromiumoxide::Browser::launch(config).await.expect("Chromium starts");
        let handler = tokio::spawn(async move { while handler.next().await.is_some() {} });
        Self { browser, handler, _profile: profile }
    }

    /// Opens a page with a preference for a colour scheme.
    pub async fn open(&self, url: &str, scheme: &str) -> Page {
        let page = self.browser.new_page("about:blank").await.expect("a page opens");
        page.enable_log().await.expect("Chromium logs");
        let complaints = Complaints {
            console: page.event_listener().await.expect("events are told"),
            exceptions: page.event_listener().await.expect("events are told"),
            entries: page.event_listener().await.expect("events are told"),
            dialogs: page.event_listener().await.expect("events are told"),
        };
        page.evaluate_on_new_document(
            "addEventListener('securitypolicyviolation', (event) => \
             (window.violations ??= []).push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`))",
        )
        .await
        .expect("scripts run before those of a page");
        let scheme = MediaFeature::new("prefers-color-scheme", scheme);
        page.emulate_media_features(vec![scheme]).await.expect("it can be emulated");
        let page = Page { page, complaints };
        page.resize(WIDTH, HEIGHT).await;
        page.page.goto(url).await.expect("the service answers");
        page
    }

    pub async fn close(mut self) {
        self.browser.close().await.expect("Chromium ends");
        self.browser.wait().await.expect("Chromium ends");
        self.handler.abort();
    }
}

/// A page of the viewer.
pub struct Page {
    page: chromiumoxide::Page,
    complaints: Complaints,
}

/// Events that a page without a fault has none of.
struct Complaints {
    console: EventStream<EventConsoleApiCalled>,
    exceptions: EventStream<EventExceptionThrown>,
    entries: EventStream<EventEntryAdded>,
    dialogs: EventStream<EventJavascriptDialogOpening>,
}

impl Page {
    /// Evaluates an expression. A promise is awaited.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let result = timeout(PATIENCE, self.page.evaluate(expression)).await;
        let result = result.unwrap_or_else(|_| panic!("no answer in time: {expression}"));
        let result = result.unwrap_or_else(|error| panic!("{error}: {expression}"));
        result.value().cloned().unwrap_or_default()
    }

    /// Evaluates an expression whose value is text.
    pub async fn text(&self, expression: &str) -> String {
        let value = self.evaluate(expression).await;
        value.as_str().unwrap_or_else(|| panic!("no text but {value}: {expression}")).to_owned()
    }

    /// Waits until a condition holds.
    pub async fn wait(&self, condition: &str) {
        // An expression that throws does not hold yet: the element is not there.
        let promise = format!(
            "new Promise((resolve) => {{
                const end = Date.now() + {};
                const look = () => {{
                    let holds = false;
                    try {{ holds = Boolean({condition}); }} catch {{}}
                    if (holds || Date.now() > end) resolve(holds);
                    else setTimeout(look, 20);
                }};
                look();
            }})",
            WAIT.as_millis()
        );
        if self.evaluate(&promise).await != Value::Bool(true) {
            let page = self.text("`${location.href}\\n${document.body.innerText}`").await;
            panic!("waited in vain for: {condition}\n{page}");
        }
    }

    /// Clicks with the mouse at the middle of an element, and moves the mouse away.
    pub async fn click(&self, selector: &str) {
        self.wait(&format!("document.querySelector({selector:?})")).await;
        let middle = self
            .evaluate(&format!(
                "(() => {{
                    const element = document.querySelector({selector:?});
                    element.scrollIntoView({{ block: 'center' }});
                    const box = element.getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2];
                }})()"
            ))
            .await;
        let coordinate = |index: usize| middle[index].as_f64().expect("a box has a middle");
        self.page.click(Point::new(coordinate(0), coordinate(1))).await.expect("it can be clicked");
        self.page.move_mouse(Point::new(1.0, 1.0)).await.expect("the mouse moves");
    }

    /// Presses keys, one after the other: characters, or names such as `Enter`.
    pub async fn press(&self, keys: &[&str]) {
        for key in keys {
            let text = match *key {
                "Enter" => Some("\r"),
                key if key.chars().count() == 1 => Some(key),
                _ => None,
            };
            for kind in [DispatchKeyEventType::KeyDown, DispatchKeyEventType::KeyUp] {
                let mut event = DispatchKeyEventParams::builder().key(*key);
                if let Some(code) = KEY_CODES.iter().find(|(name, _)| name == key) {
                    event = event.windows_virtual_key_code(code.1);
                }
                if let (Some(text), DispatchKeyEventType::KeyDown) = (text, &kind) {
                    event = event.text(text);
                }
                let event = event.r#type(kind).build().expect("the event has a type");
                self.page.execute(event).await.expect("a key can be pressed");
            }
        }
    }

    /// Sets the size of the window.
    pub async fn resize(&self, width: i64, height: i64) {
        let size = SetDeviceMetricsOverrideParams::new(width, height, 1.0, false);
        self.page.execute(size).await.expect("the window can be resized");
    }

    /// Writes a screenshot to the folder that `SCREENSHOTS` names, if it is set.
    pub async fn screenshot(&self, name: &str) {
        let params = ScreenshotParams::builder().format(CaptureScreenshotFormat::Png).build();
        let image = self.page.screenshot(params).await.expect("a page can be drawn");
        let Some(folder) = env::var_os("SCREENSHOTS") else { return };
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).expect("the folder can be created");
        fs::write(folder.join(format!("{name}.png")), image).expect("the folder can be written");
    }

    /// Checks that no script of a caller ran, and that neither the page nor the browser complained.
    pub async fn assert_unharmed(&mut self) {
        let pwned = self.evaluate("String(window.pwned)").await;
        assert_eq!(pwned, "undefined", "a script of a caller ran");
        let violations = self.evaluate("window.violations ?? []").await;
        assert_eq!(violations, Value::Array(Vec::new()), "the page broke its own policy");
        // The answers above came after all events that they may have caused.
        let complaints = self.complaints.all();
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    }
}

impl Complaints {
    fn all(&mut self) -> Vec<String> {
        let mut all = all(&mut self.console);
        all.extend(self::all(&mut self.exceptions));
        all.extend(self::all(&mut self.entries));
        all.extend(self::all(&mut self.dialogs));
        all
    }
}

/// Returns the events that have arrived.
fn all<T: std::fmt::Debug>(events: &mut (impl Stream<Item = T> + Unpin)) -> Vec<String> {
    std::iter::from_fn(|| events.next().now_or_never().flatten())
        .map(|event| format!("{event:?}"))
        .collect()
}

const WIDTH: i64 = 1280;
const HEIGHT: i64 = 800;

/// The page polls once a second. A machine under load takes longer.
const WAIT: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(25);

const KEY_CODES: [(&str, i64); 3] = [("Enter", 13), ("Escape", 27), ("Tab", 9)];
