//! From the overview to a trace, its lines and back, among hostile texts.

use tower_telemetry_browser::{Browser, HOSTILE, Page, Shop};

const SHOP: &str = env!("CARGO_BIN_EXE_shop");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_page_leads_to_the_next_and_back() {
    let shop = busy_shop().await;
    let browser = Browser::start().await;
    let mut page = browser.open(&shop.viewer(), "light").await;

    // From the overview to the trace of a bucket.
    let order = "[data-kind=server] a.value[href*=orders]";
    page.wait(&format!("document.querySelector({order:?})")).await;
    page.wait("document.querySelector('tr:has(a[href*=orders]) .histogram a.bucket')").await;
    page.click("tr:has(a[href*=orders]) .histogram a.bucket .hit").await;
    page.wait("location.hash.startsWith('#/trace/')").await;
    page.wait("document.querySelectorAll('.waterfall tbody tr').length === 5").await;

    // The tree: parents before children, one level deeper.
    let names = page.text("[...document.querySelectorAll('.waterfall button.span .value')].map((name) => name.textContent).join(' > ')").await;
    assert_eq!(names, "POST /orders > place order > POST > POST /payments > reserve stock");
    let is_deeper = "(() => { const at = [...document.querySelectorAll('.waterfall button.span')].map((span) => parseFloat(span.style.paddingInlineStart)); return at[0] < at[1] && at[1] < at[2] && at[2] < at[3] && at[4] === at[2]; })()";
    assert_eq!(page.evaluate(is_deeper).await, true);

    // From a line in the waterfall to the list of lines, to its span, and back to the line.
    page.click(".waterfall tr:nth-child(4) .mark.log").await;
    page.wait("document.activeElement.closest('tr.line')?.textContent.includes('card charged')")
        .await;
    page.press(&["Enter"]).await;
    page.wait("document.querySelector('aside h2').textContent === 'POST /payments'").await;
    page.wait("document.querySelector('aside').textContent.includes('shop.payment.method')").await;
    page.wait("document.querySelector('tr.own').textContent.includes('card charged')").await;
    page.click("aside ul.jump button").await;
    page.wait("document.activeElement.closest('tr.line')?.textContent.includes('card charged')")
        .await;

    // To the operation, and to a trace of its list.
    page.click(".path a.more").await;
    page.wait("location.hash.startsWith('#/route/server%20POST')").await;
    page.wait("document.querySelector('h1').textContent.includes('POST /orders')").await;
    page.wait("document.querySelectorAll('.traces tbody tr').length > 1").await;
    page.wait("[...document.querySelectorAll('.histogram.large .count')].some((count) => Number(count.textContent) > 0)").await;
    page.click(".traces tbody tr a").await;
    page.wait("document.querySelector('.waterfall tbody tr')").await;
    page.press(&["Escape"]).await;
    page.wait("location.hash.startsWith('#/route/')").await;

    // From a live line to its trace and its span.
    page.press(&["g", "l"]).await;
    page.wait("document.querySelector('.logs tr.line')").await;
    let before = page.evaluate("document.querySelectorAll('.logs tr.line').length").await;
    shop.request("POST", "/orders?sold-out", "").await;
    page.wait(&format!("document.querySelectorAll('.logs tr.line').length > {before}")).await;
    page.wait("document.querySelector('.logs tr.line:last-child').textContent.includes('item could not be reserved')").await;
    page.click(".logs tr.line:last-child td.link a").await;
    page.wait("document.querySelector('aside h2').textContent === 'place order'").await;
    page.wait("document.querySelector('tr.internal').querySelector('button').getAttribute('aria-current') === 'true'")
        .await;

    page.assert_unharmed().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_are_shown_as_texts() {
    let shop = busy_shop().await;
    let browser = Browser::start().await;
    let mut page = browser.open(&shop.viewer(), "dark").await;
    let dark = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every((part) => part < 60)";
    page.wait(dark).await;

    // The row of the hostile route, its page, its trace.
    let row = "a.value[href*=hostile]";
    page.wait(&format!(
        "document.querySelector({row:?}).textContent.includes('<img src=x onerror=window.pwned=1>')"
    ))
    .await;
    page.click(row).await;
    page.wait("document.querySelector('h1').textContent.includes('<script>window.pwned=1')").await;
    page.wait("document.querySelector('.traces tbody tr')").await;
    page.assert_unharmed().await;
    page.click(".traces tbody tr a").await;
    page.wait("document.querySelectorAll('.waterfall tbody tr').length === 2").await;
    page.click(".waterfall tr.consumer button.span").await;

    // Name, attributes with a hostile key, event, link, status and lines have the text, character by character:
    // only those that are invisible have another form.
    let shown = HOSTILE.replace('\u{202e}', "‹U+202E›").replace('\u{2066}', "‹U+2066›");
    let shown = shown.replace('\0', "‹U+0000›").replace('\u{1b}', "‹U+001B›");
    let places = [
        "aside h2",
        "aside .attributes dt",
        "aside .attributes dd:nth-of-type(2)",
        "aside .item b",
        ".line .message",
        ".line .attribute .value",
        "aside .pairs dd:nth-of-type(3)",
    ];
    for place in places {
        page.wait(&format!(
            "document.querySelector({place:?}).textContent === {}",
            serde_json::json!(shown)
        ))
        .await;
    }
    page.wait("document.querySelector('aside').textContent.includes('__proto__')").await;
    is_as_wide_as_the_window(&page).await;
    page.assert_unharmed().await;

    // The agent of the callers is an attribute of the server's span. A search finds it.
    page.click(".waterfall tr.server button.span").await;
    page.wait("document.querySelector('aside .attributes').textContent.includes('<script>window.pwned=1</script>')").await;
    page.press(&["g", "t"]).await;
    page.wait("document.querySelector('main input[type=search]')").await;
    page.press(&["/"]).await;
    page.wait("document.activeElement.type === 'search'").await;
    for letter in "</script>".chars() {
        page.press(&[&letter.to_string()]).await;
    }
    page.wait("location.hash.includes('text=%3C%2Fscript%3E')").await;
    page.wait("document.querySelectorAll('.traces tbody tr').length > 0").await;
    page.wait("document.querySelector('.traces tbody').textContent.includes('/users') === false")
        .await;
    is_as_wide_as_the_window(&page).await;
    page.assert_unharmed().await;

    page.press(&["Escape", "g", "l"]).await;
    page.wait(&format!(
        "document.querySelector('.logs tbody').textContent.includes({})",
        serde_json::json!(shown)
    ))
    .await;
    is_as_wide_as_the_window(&page).await;
    page.assert_unharmed().await;

    // An address is hostile, too.
    for hash in [
        "#/trace/%3Cimg%20src=x%20onerror=window.pwned=1%3E",
        "#/constructor",
        "#/route/%E0%A4%A",
        "#/route/__proto__",
        "#/trace/",
        "#/traces?operation=<img>&min=x",
    ] {
        page.evaluate(&format!("location.hash = {hash:?}")).await;
        page.wait("document.querySelector('#status').textContent === 'live' && document.querySelector('h1')").await;
    }
    assert_eq!(page.evaluate("window.pwned === undefined").await, true);
    browser.close().await;
}

/// No text makes the page wider than the window.
async fn is_as_wide_as_the_window(page: &Page) {
    for width in [1280, 800] {
        page.resize(width, 800).await;
        page.wait(&format!(
            "innerWidth === {width} && document.documentElement.scrollWidth <= innerWidth"
        ))
        .await;
    }
    page.resize(1280, 800).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_reaches_everything() {
    let shop = busy_shop().await;
    let browser = Browser::start().await;
    let mut page = browser.open(&shop.viewer(), "light").await;
    page.wait("document.querySelectorAll('.operations tbody tr').length > 3").await;

    // j and k walk over the rows, and stay at the ends.
    let row = |number: usize| {
        format!("document.activeElement === document.querySelectorAll('[data-row]')[{number}]")
    };
    for (key, at) in [("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)] {
        page.press(&[key]).await;
        page.wait(&row(at)).await;
    }
    let outline = "getComputedStyle(document.activeElement).outlineStyle === 'solid'";
    page.wait(outline).await;
    // Polls do not take the focus away.
    let polls = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('api=overview')).length";
    let seen = page.evaluate(polls).await;
    page.wait(&format!("{polls} > {seen} + 2")).await;
    page.wait(&row(0)).await;

    page.press(&["j", "Enter"]).await;
    page.wait("document.querySelector('main .charts')").await;
    page.press(&["Escape"]).await;
    page.wait("location.hash === '#/'").await;
    page.wait(&row(1)).await;

    page.press(&["g", "t"]).await;
    page.wait("document.querySelectorAll('.traces tbody tr').length > 5").await;
    page.press(&["j", "j", "Enter"]).await;
    page.wait("document.querySelector('.waterfall tbody tr')").await;
    let first = page.text("location.hash").await;
    page.press(&["]"]).await;
    page.wait(&format!(
        "location.hash !== {first:?} && document.querySelector('.waterfall tbody tr')"
    ))
    .await;
    page.press(&["["]).await;
    page.wait(&format!("location.hash === {first:?}")).await;
    page.press(&["Escape"]).await;
    page.wait("document.querySelector('main form.filters')").await;

    page.press(&["g", "u"]).await;
    page.wait("document.querySelector('main').textContent.includes('process.cpu.time')").await;
    page.press(&["?"]).await;
    page.wait("document.querySelector('#keys').open").await;
    page.press(&["Escape"]).await;
    page.wait("!document.querySelector('#keys').open").await;

    // Paused, the page asks for nothing.
    page.press(&["p"]).await;
    page.wait("document.querySelector('#status').textContent === 'paused'").await;
    let seen = page.evaluate(polls).await;
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 2500))").await;
    assert_eq!(page.evaluate(polls).await, seen);
    page.press(&["p"]).await;
    page.wait(&format!("{polls} > {seen}")).await;

    // Each control has a name, each chart an alternative.
    let nameless = "[...document.querySelectorAll('button, a, input, select, svg[role], main section, table')].filter((element) => \
        !(element.getAttribute('aria-label') || element.textContent.trim() || element.caption || element.labels?.length)).map((element) => element.outerHTML)";
    for view in ["#/", "#/traces", "#/logs", "#/resources"] {
        page.evaluate(&format!("location.hash = {view:?}")).await;
        page.wait("document.querySelector('main section table tbody tr')").await;
        assert_eq!(page.evaluate(nameless).await, serde_json::json!([]), "{view}");
    }
    page.assert_unharmed().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_service_is_told() {
    let shop = busy_shop().await;
    let browser = Browser::start().await;
    let page = browser.open(&shop.viewer(), "light").await;
    page.wait("document.querySelector('#status').textContent === 'live'").await;
    drop(shop);
    page.wait("document.querySelector('#status').textContent.startsWith('no answer for')").await;
    page.wait("document.querySelectorAll('.operations tbody tr').length > 3").await;
    browser.close().await;
}

/// A shop that has answered requests to each of its routes.
async fn busy_shop() -> Shop {
    let shop = Shop::start(SHOP, &[]).await;
    let agent = HOSTILE.replace(['\0', '\u{1b}'], " ");
    let hostile = format!("user-agent: {agent}{}\r\n", "x".repeat(4000));
    for number in 0..12 {
        assert_eq!(shop.request("GET", &format!("/users/{number}"), "").await, 200);
        assert_eq!(shop.request("POST", "/orders", "").await, 201);
        assert_eq!(shop.request("GET", &format!("/reports/{}", number * 7), "").await, 200);
    }
    assert_eq!(shop.request("GET", "/fail", "").await, 500);
    assert_eq!(shop.request("GET", "/hostile/a/b", &hostile).await, 200);
    shop
}
