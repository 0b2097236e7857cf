// Resources: how much is used, how full it is, what fails.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, patch, setText, table } = await here("dom.js");
const { api } = await here("api.js");
const { attributeText, bytes, count, duration, percent, printable, rate } = await here("format.js");
const { Rate, Series } = await here("history.js");
const { Sparkline } = await here("charts.js");

const TITLES = new Map([
  ["db", "Databases and their pools"],
  ["http", "HTTP"],
  ["otel", "Telemetry itself"],
  ["process", "Process"],
  ["rpc", "RPC"],
  ["tokio", "Tokio runtime"],
  ["tower", "Limits"],
]);

/** The values while the page is open, by metric and attributes. They outlive the view. */
const histories = new Map();

export function resources() {
  const groups = el("div.groups");
  const empty = el("p.empty", { hidden: true }, "No resource is observed. The features process and tokio report the process and its runtime.");
  const filter = el("input", { type: "search", placeholder: "Name ( / )", "aria-label": "Name of the metric", oninput: () => render() });
  const element = el("section", { "aria-label": "Resources" }, el("h1", {}, "Resources"), el("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() }, filter), empty, groups);
  let rows = [];

  async function refresh({ now }, signal) {
    const { metrics } = await api("resources", {}, signal);
    rows = metrics.flatMap((metric) => metric.points.map((point) => rowOf(metric, point, now)));
    render();
  }

  function render() {
    const wanted = rows.filter(({ metric }) => metric.name.includes(filter.value.trim()));
    empty.hidden = wanted.length > 0;
    const byGroup = Map.groupBy(wanted, ({ metric }) => metric.name.split(".")[0]);
    patch(groups, [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1)), ([group]) => group, createGroup, (node, [, members]) => patch(node.rows, members, ({ key }) => key, createRow, updateRow));
  }

  return { title: "Resources", element, refresh };
}

function rowOf(metric, point, now) {
  const key = `${metric.name} ${JSON.stringify(point.attributes)}`;
  const isRate = metric.kind === "counter" || metric.kind === "histogram";
  if (!histories.has(key)) histories.set(key, isRate ? new Rate() : new Series());
  const history = histories.get(key);
  if (isRate) history.addTotal(now, metric.kind === "histogram" ? point.count : point.value);
  else history.add(now, point.value);
  return { key, metric, point, history, isRate };
}

function createGroup([group]) {
  const title = TITLES.get(group) ?? printable(group);
  const rows = table(title, [title, "Attributes", ["Now", "number"], ["Total", "number"], "While this page is open"]);
  rows.className = "resources";
  const node = el("div.scroll", {}, rows);
  node.rows = rows.tBodies[0];
  return node;
}

function createRow({ metric, point, isRate }) {
  const row = el("tr");
  const attributes = Object.entries(point.attributes).sort().map(([name, value]) => el("span.attribute", {}, el("span.name", {}, printable(name)), "=", el("span.value", {}, attributeText(value))));
  row.now = el("td.number");
  row.total = el("td.number.quiet");
  row.spark = new Sparkline(160, 22, metric.name, (value) => amount(value, metric, isRate));
  row.append(
    el("th", { scope: "row" }, el("span.value", { title: printable(metric.description), tabindex: "0", "data-row": "" }, printable(metric.name))),
    el("td.text", {}, ...attributes.flatMap((attribute) => [attribute, " "])),
    row.now,
    row.total,
    el("td", {}, row.spark.element),
  );
  return row;
}

function updateRow(row, { metric, point, history, isRate }) {
  setText(row.now, history.last == null ? "–" : amount(history.last, metric, isRate));
  setText(row.total, metric.kind === "histogram" ? `${count(point.count)} · mean ${point.count ? amount(point.sum / point.count, metric, false) : "–"}` : isRate ? amount(point.value, metric, false) : "");
  row.spark.update(history);
}

/** A value with its unit, or a rate of it. Seconds per second are a part of one core. */
function amount(value, { unit, kind }, isRate) {
  if (value == null) return "–";
  if (isRate && kind === "histogram") return `${rate(value)}/s`;
  if (unit === "s") return isRate ? percent(value) : duration(value);
  if (unit === "By") return isRate ? `${bytes(value)}/s` : bytes(value);
  if (unit === "1") return isRate ? `${rate(value)}/s` : percent(value);
  return isRate ? `${rate(value)}/s` : count(value);
}
