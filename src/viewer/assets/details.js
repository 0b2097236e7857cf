// The details of a span: identity, attributes, events, links and lines.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, copyButton } = await here("dom.js");
const { view } = await here("api.js");
const { attributeText, beginning, duration, plural, printable, short, timeOfDay } = await here("format.js");

/** The panel of `span`. */
export function details(span, { start, lines, onSpan, onLine }) {
  const after = (time) => `+${duration((time - start) / 1000)}`;
  return [
    el("h2.value", { id: "details-title" }, printable(span.name) || "(no name)"),
    facts([
      ["Kind", el("span.tag", {}, span.kind)],
      ["Status", el(`span${span.status === "error" ? ".error" : ""}`, {}, span.status === "error" ? "▲ error" : span.status)],
      ["Message", span.message && el("span.value", {}, printable(span.message))],
      ["Started", `${timeOfDay(span.start)} (${after(span.start)})`],
      ["Duration", duration(span.duration)],
      ["Span id", el("span", {}, el("code", {}, span.id), " ", copyButton(span.id, "Copy the span's id"))],
      ["Parent", parent(span, onSpan)],
      ["Operation", span.operation && el("a.value", { href: view("route", span.operation) }, printable(span.operation))],
      ["Scope", el("span.value", {}, printable(span.scope))],
    ]),
    ...section("Attributes", Object.keys(span.attributes).length, attributes(span.attributes), span.dropped ? el("p.note", {}, `${plural(span.dropped, "attribute")}, events or links were dropped by the limits of the SDK.`) : null),
    ...section("Events", span.events.length, ...span.events.map((event) =>
      el("div.item", {}, el("p", {}, el("span.time", {}, after(event.time)), " ", el("b.value", {}, printable(event.name))), attributes(event.attributes)))),
    ...section("Links", span.links.length, ...span.links.map((link) =>
      el("div.item", {}, el("p", {}, el("a", { href: view("trace", link.trace, { span: link.span }) }, `trace ${short(link.trace)}, span ${short(link.span)}`)), attributes(link.attributes)))),
    ...section("Lines", lines.length, el("ul.jump", {}, ...lines.map((line) =>
      el("li", {}, el("button.value", { type: "button", onclick: () => onLine(line.seq) }, `${after(line.time)} ${printable(line.level)} ${beginning(printable(line.message))}`))))),
  ];
}

function parent(span, onSpan) {
  if (!span.parent) return "none: the root of the trace";
  if (span.is_remote_parent) return el("span", {}, el("code", {}, span.parent), " in the caller");
  return el("button.jump", { type: "button", onclick: () => onSpan(span.parent) }, span.parent);
}

function section(title, size, ...content) {
  return size ? [el("h3", {}, `${title} `, el("span.count", {}, String(size))), ...content] : [];
}

/** Pairs as a list of terms. Pairs without a value are left out. */
export function facts(pairs) {
  return el("dl.pairs", {}, ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function attributes(values) {
  const names = Object.keys(values).sort();
  return names.length ? el("dl.pairs.attributes", {}, ...names.flatMap((name) => [el("dt.value", {}, printable(name)), el("dd.value", {}, attributeText(values[name]))])) : null;
}
