// Overview: rate, errors and duration of each operation.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setText, setAttribute, patch, table } = await here("dom.js");
const { view } = await here("api.js");
const { count, duration, percent, printable, beginning, rate } = await here("format.js");
const { Histogram, Sparkline } = await here("charts.js");

const GROUPS = [["server", "HTTP server"], ["rpc-server", "RPC server"], ["client", "HTTP client"], ["rpc-client", "RPC client"], ["db", "Database"]];
const COLUMNS = [["Rate /s", "number"], "Trend", ["Count", "number"], ["Errors", "number"], ["P50", "number"], ["P95", "number"], ["P99", "number"], "Latency, with traces"];

export function overview({ state }) {
  const tables = el("div");
  const empty = el("p.empty", {}, "No operation yet. Each route appears here with its first request.");
  const element = el("section", { "aria-label": "Overview" }, el("h1", {}, "Overview"), empty, tables);

  function refresh({ operations }) {
    empty.hidden = operations.length > 0;
    const known = GROUPS.map(([kind]) => kind);
    const others = [...new Set(operations.map(({ kind }) => kind))].filter((kind) => !known.includes(kind)).map((kind) => [kind, kind]);
    const groups = [...GROUPS, ...others]
      .map(([kind, title]) => ({ kind, title, rows: operations.filter((operation) => operation.kind === kind).sort((a, b) => (a.name < b.name ? -1 : 1)) }))
      .filter(({ rows }) => rows.length);
    patch(tables, groups, ({ kind }) => kind, createGroup, (node, { rows }) => patch(node.rows, rows, ({ key }) => key, (row) => createRow(row, state.operations.of(row.key)), (node, row) => updateRow(node, row, state.operations.of(row.key))));
  }

  return { title: "Overview", element, refresh };
}

function createGroup({ kind, title }) {
  const rows = table(title, [title, ...COLUMNS]);
  rows.className = "operations";
  rows.dataset.kind = kind;
  const group = el("div.scroll", {}, rows);
  group.rows = rows.tBodies[0];
  return group;
}

function createRow({ key, name }) {
  const text = printable(name);
  const row = el("tr");
  row.rate = el("td.number");
  row.spark = new Sparkline(72, 18, "Requests per second while this page is open");
  row.count = el("td.number");
  row.errors = el("td.number");
  row.quantiles = ["p50", "p95", "p99"].map((quantile) => [quantile, el("td.number")]);
  row.histogram = new Histogram({ width: 180, height: 26 });
  row.append(
    el("th", { scope: "row" }, el("a.value", { href: view("route", key), title: beginning(text), "data-row": "" }, text)),
    row.rate,
    el("td", {}, row.spark.element),
    row.count,
    row.errors,
    ...row.quantiles.map(([, cell]) => cell),
    el("td", {}, row.histogram.element),
  );
  return row;
}

function updateRow(row, operation, history) {
  setText(row.rate, rate(history.rate.last));
  row.spark.update(history.rate);
  setText(row.count, count(operation.count));
  showErrors(row.errors, operation);
  for (const [quantile, cell] of row.quantiles) setText(cell, duration(operation[quantile]));
  row.histogram.update(printable(operation.name), operation.buckets);
}

/** "▲ 3 (2.5 %)", or a zero. */
export function showErrors(node, { count: total, errors }) {
  setText(node, errors ? `▲ ${count(errors)} (${percent(errors / total)})` : "0");
  node.classList.toggle("error", errors > 0);
  setAttribute(node, "title", errors ? "Errors, and their part of all requests" : null);
}
