// Traces: a live list with filters.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setAttribute, setText, patch, table } = await here("dom.js");
const { api, view } = await here("api.js");
const { beginning, count, duration, plural, printable, timeOfDay } = await here("format.js");

/** A table of traces, newest first. It also tells the page of a trace which traces are its neighbours. */
export class TraceTable {
  constructor(caption, state) {
    this.state = state;
    const rows = table(caption, [["Started", "time"], "Trace", ["Status", "status"], ["Duration", "number"], ["Spans", "number"], ["Lines", "number"]]);
    rows.className = "traces";
    this.body = rows.tBodies[0];
    this.empty = el("p.empty", { hidden: true }, "No trace matches.");
    this.element = el("div.scroll", {}, rows, this.empty);
  }

  /** Rows that someone points at must not move. */
  held() {
    return this.body.matches(":hover") || this.body.contains(document.activeElement) ? "list held" : undefined;
  }

  update(traces) {
    this.empty.hidden = traces.length > 0;
    const longest = Math.max(...traces.map((trace) => trace.duration));
    let shown = traces;
    if (this.held() && this.body.rowsByKey?.size) {
      const current = new Map(traces.map((trace) => [trace.id, trace]));
      shown = this.shown.map((trace) => current.get(trace.id) ?? trace);
    }
    this.shown = shown;
    this.state.list = { hash: this.state.hash, ids: shown.map((trace) => trace.id) };
    patch(this.body, shown, (trace) => trace.id, createRow, (row, trace) => updateRow(row, trace, longest));
  }
}

function createRow(trace) {
  const row = el("tr");
  row.link = el("a.value", { href: view("trace", trace.id), "data-row": "" });
  row.open = el("span.tag.open", { hidden: true }, "open");
  row.status = el("td.status");
  row.bar = el("span.bar");
  row.duration = el("span");
  row.spans = el("td.number");
  row.lines = el("td.number");
  row.append(
    el("td.time", {}, timeOfDay(trace.start)),
    el("th", { scope: "row" }, el("div.name", {}, el("span.tag", {}, trace.kind), row.link, row.open)),
    row.status,
    el("td.number.duration", {}, row.bar, row.duration),
    row.spans,
    row.lines,
  );
  return row;
}

function updateRow(row, trace, longest) {
  const name = printable(trace.name);
  setText(row.link, name || "(no name)");
  row.link.title = beginning(name);
  row.open.hidden = !trace.is_open;
  setText(row.status, `${trace.is_error ? "▲ " : ""}${trace.status == null ? (trace.is_error ? "error" : "–") : printable(trace.status)}`);
  row.status.classList.toggle("error", trace.is_error);
  setAttribute(row.status, "title", trace.is_error && "A span of this trace failed");
  row.bar.style.width = `${longest ? (trace.duration / longest) * 100 : 0}%`;
  row.bar.classList.toggle("error", trace.is_error);
  setText(row.duration, duration(trace.duration));
  setText(row.spans, count(trace.spans));
  setText(row.lines, count(trace.lines));
}

export function traces({ query, state, setQuery }) {
  const operation = el("select", { "aria-label": "Operation" });
  const status = select("Status", [["", "All"], ["error", "Errors"], ["ok", "No error"]]);
  const min = select("Duration", [["", "Any duration"], ...[0.001, 0.01, 0.1, 1, 10].map((seconds) => [seconds, `over ${duration(seconds)}`])]);
  const text = el("input", { type: "search", placeholder: "Name, attribute or id ( / )", "aria-label": "Text in the trace" });
  const fields = { operation, status, min, text };
  const list = new TraceTable("Latest traces", state);
  const summary = el("p.summary", { "aria-live": "polite" });
  const form = el("form.filters", { role: "search", oninput: changed, onsubmit: (event) => event.preventDefault() }, operation, status, min, text, summary);
  const element = el("section", { "aria-label": "Traces" }, el("h1", {}, "Traces"), form, list.element);

  // The wanted operation may have no measurement yet, and is an option nevertheless.
  setOperations([query.get("operation") ?? ""].filter(Boolean));
  for (const [name, field] of Object.entries(fields)) field.value = query.get(name) ?? "";

  function setOperations(keys) {
    const all = new Set([...keys, operation.value].filter(Boolean));
    patch(operation, ["", ...[...all].sort()], (key) => key, (key) => el("option", { value: key }, key ? beginning(printable(key)) : "All operations"));
  }

  function changed() {
    list.body.replaceChildren();
    list.body.rowsByKey = null;
    setQuery(view("traces", null, values()));
  }

  const values = () => Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));

  async function refresh(overview, signal) {
    setOperations(overview.operations.map(({ key }) => key));
    const { traces } = await api("traces", { ...values(), limit: 100 }, signal);
    list.update(traces);
    setText(summary, traces.length < 100 ? plural(traces.length, "trace") : "the latest 100");
  }

  return { title: "Traces", element, refresh, held: () => list.held() };
}

/** A choice from pairs of a value and its text. */
export function select(label, options) {
  return el("select", { "aria-label": label }, ...options.map(([value, text]) => el("option", { value }, text)));
}
