// Log lines, as rows of a table.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el } = await here("dom.js");
const { attributeText, printable } = await here("format.js");

export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
const SIGNS = { WARN: "△ ", ERROR: "▲ " };

/** A row with the line's time, level, target, text and a cell that leads elsewhere. */
export function lineRow(line, time, link) {
  const attributes = Object.entries(line.attributes).map(([name, value]) =>
    el("span.attribute", {}, el("span.name", {}, printable(name)), "=", el("span.value", {}, attributeText(value))));
  const level = LEVELS.includes(line.level) ? line.level : "INFO";
  return el(
    `tr.line.${level.toLowerCase()}`,
    { "data-seq": line.seq },
    el("td.time", {}, time),
    el("td.level", {}, `${SIGNS[level] ?? ""}${printable(line.level)}`),
    el("td.target", {}, printable(line.target)),
    el("td.text", {}, el("span.message.value", {}, printable(line.message)), ...attributes.flatMap((attribute) => [" ", attribute])),
    el("td.link", {}, link),
  );
}
