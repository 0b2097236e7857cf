//! A service with the viewer as a process, load on it, and a real browser that looks at it.

mod browser;
mod load;
mod shop;

pub use self::{
    browser::{Browser, Page},
    load::load,
    shop::{Shop, Usage},
};

/// A text that runs a script if it is taken for markup or for code, and that disturbs the text around it.
pub const HOSTILE: &str = "<img src=x onerror=\"window.pwned=1\"></script><script>window.pwned=1</script>\
    '\"`${window.pwned=1}{{constructor.constructor('window.pwned=1')()}} \u{202e}gnp.exe\u{2066} \0 \u{1b}[31m";

/// A route as hostile as axum's router takes it.
pub const HOSTILE_ROUTE: &str =
    "/hostile/{<img src=x onerror=window.pwned=1>}/{\u{202e}<script>window.pwned=1<\\script>}";
