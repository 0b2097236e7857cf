// One trace: waterfall, details of a span, log lines.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, copyButton, patch, setAttribute, setText, table } = await here("dom.js");
const { api, view } = await here("api.js");
const { beginning, duration, plural, printable, short, timeOfDay } = await here("format.js");
const { details } = await here("details.js");
const { lineRow } = await here("lines.js");
const { Waterfall, extent, tree } = await here("waterfall.js");

export function trace({ argument: id = "", query, state, setQuery }) {
  let current;
  let selected = query.get("span");
  let isGone = false;
  const name = el("span.value", {}, "…");
  const summary = el("p.summary", { "aria-live": "polite" });
  const waterfall = new Waterfall({ onSpan: selectSpan, onLine: showLine });
  const panel = el("aside", { "aria-labelledby": "details-title" });
  const lines = table("Log lines of this trace", [["Time", "time"], "Level", "Target", "Text", "Span"]);
  lines.className = "lines";
  const linesTitle = el("h2");
  const content = el("div.trace", { hidden: true }, el("div", {}, waterfall.element, linesTitle, el("div.scroll", {}, lines)), panel);
  const { list } = state;
  const at = list.ids.indexOf(id);
  const operationLink = el("a.more.value");
  const operationPath = el("span", { hidden: true }, " / ", operationLink);
  const element = el(
    "section",
    { "aria-label": "Trace" },
    el("p.path", {}, el("a", { href: up() }, up() === "#/" ? "Overview" : "Back to the list"), operationPath),
    el("h1", {}, name),
    el("p.identity", {}, "Trace ", el("code", {}, printable(id)), " ", copyButton(id, "Copy the trace's id"), neighbour(-1, "‹ newer ["), neighbour(1, "older › ]")),
    summary,
    content,
  );

  function up() {
    return at >= 0 ? list.hash : state.from;
  }

  function neighbour(by, text) {
    const other = at < 0 ? undefined : list.ids[at + by];
    return other && el("a.button", { href: view("trace", other) }, text);
  }

  function go(by) {
    const other = at < 0 ? undefined : list.ids[at + by];
    if (other) location.hash = view("trace", other);
  }

  async function refresh(_overview, signal) {
    try {
      const found = await api("trace", { id }, signal);
      const size = ({ spans, lines, is_open, left_out }) => `${spans.length} ${lines.length} ${is_open} ${left_out}`;
      if (current && size(current) === size(found)) return;
      found.lines.sort((a, b) => a.time - b.time || a.seq - b.seq);
      current = found;
      isGone = false;
    } catch (error) {
      if (error.status !== 404 && error.status !== 400) throw error;
      isGone = true;
    }
    render();
  }

  function render() {
    if (!current) {
      setText(name, "Not in memory");
      return setText(summary, "The viewer keeps errors and slow traces longest, and drops the others first. This trace is not in its memory any more.");
    }
    const rows = tree(current.spans);
    const root = rows[0]?.span;
    const { start, total } = extent(current);
    selected = rows.find(({ span }) => span.id === selected)?.span.id ?? root?.id;
    setText(name, printable(root?.name ?? "Lines without a span") || "(no name)");
    const notes = [timeOfDay(start), duration(total / 1000), plural(current.spans.length, "span"), plural(current.lines.length, "line")];
    if (current.is_open) notes.push("still open");
    if (current.left_out) notes.push(`${plural(current.left_out, "span")} or lines left out`);
    if (isGone) notes.push("no longer in the service's memory");
    setText(summary, notes.join(" · "));
    content.hidden = false;
    waterfall.update(current, selected);
    showOperation(root);
    showDetails(start);
    showLines(start);
  }

  function showOperation(root) {
    const key = root?.operation;
    operationPath.hidden = !key;
    if (!key) return;
    setText(operationLink, printable(key));
    setAttribute(operationLink, "href", view("route", key));
  }

  function showDetails(start) {
    const span = current.spans.find((span) => span.id === selected);
    if (!span) return panel.replaceChildren();
    const own = current.lines.filter((line) => line.span === selected);
    panel.replaceChildren(...details(span, { start, lines: own, onSpan: selectSpan, onLine: showLine }).filter(Boolean));
  }

  function showLines(start) {
    const names = new Map(current.spans.map((span) => [span.id, printable(span.name)]));
    setText(linesTitle, current.lines.length ? "Log lines" : "No log lines");
    lines.hidden = !current.lines.length;
    const create = (line) => lineRow(line, `+${duration((line.time - start) / 1000)}`, names.has(line.span)
      ? el("button.jump.value", { type: "button", "data-row": "", title: "Show the span", onclick: () => selectSpan(line.span) }, beginning(names.get(line.span)))
      : null);
    patch(lines.tBodies[0], current.lines, (line) => line.seq, create, (row, line) => row.classList.toggle("own", line.span === selected));
  }

  function selectSpan(span) {
    selected = span;
    render();
    setQuery(view("trace", id, { span }));
  }

  function showLine(seq) {
    const row = lines.querySelector(`[data-seq="${seq}"]`);
    row?.scrollIntoView({ block: "center" });
    row?.querySelector("button")?.focus({ preventScroll: true });
  }

  return { title: `Trace ${short(id)}`, element, refresh, up, go };
}
