// The spans of a trace as a tree beside a time axis.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setText, setAttribute, patch, table } = await here("dom.js");
const { beginning, duration, printable } = await here("format.js");

const DEEPEST_INDENT = 12;

/** The spans in the order of the tree: parents before children, siblings by start. */
export function tree(spans) {
  const sorted = spans.toSorted((a, b) => a.start - b.start);
  const known = new Map(sorted.map((span) => [span.id, span]));
  const children = Map.groupBy(sorted, (span) => (known.has(span.parent) ? span.parent : null));
  const rows = [];
  const seen = new Set();
  const visit = (top) => {
    const stack = [{ span: top, depth: 0 }];
    while (stack.length) {
      const { span, depth } = stack.pop();
      if (seen.has(span.id)) continue;
      seen.add(span.id);
      rows.push({ span, depth });
      for (const child of (children.get(span.id) ?? []).toReversed()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  (children.get(null) ?? []).forEach(visit);
  // Spans whose parents form a ring have no root.
  sorted.forEach(visit);
  return rows;
}

/** The time between the first start and the last end, in milliseconds. */
export function extent({ spans, lines }) {
  const starts = [...spans.map((span) => span.start), ...(spans.length ? [] : lines.map((line) => line.time))];
  const start = starts.reduce((a, b) => Math.min(a, b), Infinity);
  const end = spans.reduce((latest, span) => Math.max(latest, span.start + span.duration * 1000), start);
  return { start, total: Math.max(end - start, 0.001) };
}

export class Waterfall {
  constructor({ onSpan, onLine }) {
    Object.assign(this, { onSpan, onLine });
    this.table = table("Spans", ["Span", "", ["Duration", "number"]]);
    this.table.className = "waterfall";
    this.axis = el("div.axis");
    this.table.tHead.rows[0].cells[1].append(el("span.hidden", {}, "Time"), this.axis);
    this.element = el("div.scroll", {}, this.table);
  }

  update(trace, selected) {
    const { start, total } = extent(trace);
    this.at = (time) => `${Math.min(100, Math.max(0, ((time - start) / total) * 100))}%`;
    this.start = start;
    this.#updateAxis(total);
    const lines = Map.groupBy(trace.lines, (line) => line.span);
    patch(this.table.tBodies[0], tree(trace.spans), ({ span }) => span.id, (row) => this.#createRow(row), (node, { span, depth }) => {
      node.button.style.paddingInlineStart = `${Math.min(depth, DEEPEST_INDENT) * 14 + 12}px`;
      const width = ((span.duration * 1000) / total) * 100;
      node.bar.style.left = this.at(span.start);
      node.bar.style.width = `${Math.min(100, width)}%`;
      node.classList.toggle("selected", span.id === selected);
      setAttribute(node.button, "aria-current", span.id === selected && "true");
      patch(node.marks, [...span.events.map(eventMark), ...(lines.get(span.id) ?? []).map(lineMark)], (mark) => mark.key, (mark) => this.#createMark(mark, span), (button, mark) => (button.style.left = this.at(mark.time)));
    });
  }

  #updateAxis(total) {
    const rough = total / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const ticks = Array.from({ length: Math.floor(total / step) + 1 }, (_, index) => index * step).filter((tick) => tick < total * 0.96);
    this.table.style.setProperty("--step", `${(step / total) * 100}%`);
    patch(this.axis, ticks, (tick) => duration(tick / 1000), (tick) => el("span.tick", {}, duration(tick / 1000)), (node, tick) => (node.style.left = `${(tick / total) * 100}%`));
  }

  #createRow({ span, depth }) {
    const name = printable(span.name) || "(no name)";
    const isError = span.status === "error";
    const row = el(`tr.${span.kind}`, { onclick: () => this.onSpan(span.id) });
    row.button = el("button.span", { type: "button", "data-row": "", title: beginning(name), "aria-label": `${name}, ${span.kind}, level ${depth + 1}, ${duration(span.duration)}${isError ? ", failed" : ""}` },
      isError ? el("span.error", {}, "▲ ") : null, el("span.value", {}, name), " ", el("span.tag", {}, span.kind));
    row.bar = el(isError ? "span.bar.error" : "span.bar");
    row.marks = el("span.marks");
    row.append(el("th", { scope: "row" }, row.button), el("td.lane", {}, el("div", {}, row.bar, row.marks)), el("td.number", {}, duration(span.duration)));
    return row;
  }

  #createMark({ kind, text, seq }, span) {
    const offset = (event) => (event.stopPropagation(), seq == null ? this.onSpan(span.id) : this.onLine(seq));
    // Each mark is also a row of the lists below, so it is no tab stop.
    return el(`button.mark.${kind}`, { type: "button", tabindex: "-1", title: text, "aria-label": text, onclick: offset });
  }
}

const eventMark = (event, index) => ({ key: `event ${index}`, kind: "event", time: event.time, text: `Event: ${beginning(printable(event.name))}` });
const lineMark = (line) => ({ key: `line ${line.seq}`, kind: `log.${line.level.toLowerCase()}`, time: line.time, seq: line.seq, text: `${printable(line.level)}: ${beginning(printable(line.message))}` });
