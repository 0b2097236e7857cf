// The frame of the page: which view is shown, the poll once a second, theme and keyboard.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setText, setAttribute } = await here("dom.js");
const { api } = await here("api.js");
const { bytes, count, duration, plural, printable } = await here("format.js");
const { Operations } = await here("history.js");
const views = {
  "": (await here("overview.js")).overview,
  route: (await here("operation.js")).operation,
  traces: (await here("traces.js")).traces,
  trace: (await here("trace.js")).trace,
  logs: (await here("logs.js")).logs,
  resources: (await here("resources.js")).resources,
};

const INTERVAL = 1000;
const byId = (id) => document.getElementById(id);
const main = byId("main");
const state = { operations: new Operations(), list: { hash: "#/traces", ids: [] }, from: "#/" };

let view;
let name;
let timer;
let request = new AbortController();
let isPaused = false;
let isStale = false;
let answered = Date.now();

// The view that the hash names

function show() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [wanted, argument] = path.split("/");
  const left = state.hash;
  if (name !== undefined && name !== "trace") state.from = left;
  state.hash = location.hash || "#/";
  name = Object.hasOwn(views, wanted) ? wanted : "";
  view?.leave?.();
  view = views[name]({ argument: decode(argument), query: new URLSearchParams(query), state, setQuery, refresh });
  view.left = left;
  main.replaceChildren(view.element);
  document.title = `${printable(view.title)} · Telemetry`;
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.dataset.view === name || (name === "route" && !link.dataset.view) || (name === "trace" && link.dataset.view === "traces");
    setAttribute(link, "aria-current", isHere && "page");
  }
  if (left !== undefined) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  refresh();
}

function decode(text) {
  try {
    return text && decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Changes the filters of the view without leaving it. */
function setQuery(hash) {
  history.replaceState(null, "", hash);
  state.hash = hash;
  refresh();
}

// The poll

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const shown = view;
  try {
    const overview = await api("overview", {}, signal);
    state.operations.add(overview);
    showFrame(overview);
    await shown.refresh(overview, signal);
    if (signal.aborted) return;
    focusTheRowThatWasLeft(shown);
    answered = Date.now();
    isStale = false;
  } catch (error) {
    if (signal.aborted) return;
    isStale = true;
    // A fault of this page is no failure of the network, and has to be seen.
    if (!(error instanceof TypeError && /fetch/i.test(error.message)) && !error.status) console.error(error);
    if (error.status === 403) setText(main, error.message);
  }
  showStatus();
  if (!isPaused) timer = setTimeout(refresh, INTERVAL);
}

function showFrame({ service, now, started, active, resource, traces, lines }) {
  setText(byId("service"), printable(service));
  setText(byId("uptime"), `up ${duration(Math.max(0, Math.round((now - started) / 1000)))}`);
  setText(byId("active"), active == null ? "" : `${count(active)} active`);
  setAttribute(byId("service"), "title", printable(Object.entries(resource).map(([key, value]) => `${key}: ${value}`).join("\n")));
  const memory = (what, { count: held, bytes: size, seen, max_count, max_bytes }) =>
    `${count(held)} of ${plural(seen, what)} in memory (at most ${count(max_count)}), ${bytes(size)} of ${bytes(max_bytes)}`;
  const untracked = traces.untracked ? ` · ${plural(traces.untracked, "span")} not shown, because 1,000 traces are open` : "";
  setText(byId("footer"), `${memory("trace", traces)} · ${memory("line", lines)}${untracked}`);
}

function showStatus() {
  const text = isStale ? `no answer for ${duration(Math.round((Date.now() - answered) / 1000))}` : isPaused ? "paused" : (view.held?.() ?? "live");
  setText(byId("status"), text);
  byId("status").className = isStale ? "stale" : text;
}

function pause() {
  isPaused = !isPaused;
  setText(byId("pause"), isPaused ? "Resume" : "Pause");
  setAttribute(byId("pause"), "aria-pressed", String(isPaused));
  showStatus();
  if (isPaused) clearTimeout(timer);
  else refresh();
}

// Theme

const THEMES = ["system", "light", "dark"];

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  setText(byId("theme"), `Theme: ${theme}`);
  try {
    localStorage.setItem("telemetry-theme", theme);
  } catch {
    // Storage is off: the theme lasts until the page is closed.
  }
}

function storedTheme() {
  try {
    return localStorage.getItem("telemetry-theme");
  } catch {
    return null;
  }
}

// Keyboard

const GO = { r: "#/", t: "#/traces", l: "#/logs", u: "#/resources" };
let isGo = false;

const KEYS = {
  g: () => (isGo = true),
  j: () => step(1),
  k: () => step(-1),
  p: pause,
  "/": () => main.querySelector("input[type=search]")?.focus(),
  "?": () => byId("keys").showModal(),
  "[": () => view.go?.(-1),
  "]": () => view.go?.(1),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  if (event.key === "Escape") return escape(event);
  if (event.target.matches("input, select, textarea")) return;
  const action = isGo && GO[event.key] ? () => (location.hash = GO[event.key]) : KEYS[event.key];
  isGo = false;
  if (!action) return;
  event.preventDefault();
  action();
}

function escape(event) {
  if (event.target.matches("input, select")) event.target.blur();
  else if (view.up) location.hash = view.up();
  else main.focus();
}

function step(by) {
  const rows = [...main.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  const row = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  row?.focus();
  row?.scrollIntoView({ block: "nearest" });
}

/** Back in a list, the keyboard goes on where it was. */
function focusTheRowThatWasLeft(shown) {
  if (shown.left && document.activeElement === main) main.querySelector(`[data-row][href="${CSS.escape(shown.left)}"]`)?.focus();
  shown.left = null;
}

byId("pause").addEventListener("click", pause);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
addEventListener("hashchange", show);
addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => !document.hidden && !isPaused && refresh());
setTheme(THEMES.find((theme) => theme === storedTheme()) ?? "system");
show();
