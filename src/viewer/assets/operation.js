// One operation: its latency, its rate, its latest traces.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setText, patch } = await here("dom.js");
const { api, view } = await here("api.js");
const { count, duration, printable, rate } = await here("format.js");
const { Histogram, Sparkline } = await here("charts.js");
const { showErrors } = await here("overview.js");
const { TraceTable } = await here("traces.js");

const FACTS = ["Rate /s", "Count", "Errors", "Mean", "P50", "P95", "P99"];

export function operation({ argument: key = "", state }) {
  const title = printable(key.replace(/^\S+ /, "") || key);
  const facts = el("dl.facts");
  const histogram = new Histogram({ width: 960, height: 230, isLarge: true });
  const sparks = [
    ["Requests per second", new Sparkline(460, 70, "Requests per second", (value) => `${rate(value)}/s`), "rate"],
    ["Errors per second", new Sparkline(460, 70, "Errors per second", (value) => `${rate(value)}/s`), "errorRate"],
    ["P95 of the last 10 s", new Sparkline(460, 70, "P95 of the last ten seconds", duration), "p95"],
  ];
  const latest = new TraceTable("Latest traces of this operation", state);
  const missing = el("p.empty", {}, "The service has no measurement of this operation yet.");
  const kind = key.split(" ")[0];
  const charts = el(
    "div.charts",
    {},
    el("figure.wide", {}, el("figcaption", {}, "Latency since the start. Dots are traces: ● answered, ◆ failed. Heights grow with the square root of the count."), el("div.scroll", {}, histogram.element)),
    ...sparks.map(([caption, spark]) => el("figure", {}, (spark.caption = el("figcaption", {}, caption)), spark.element)),
  );
  const element = el(
    "section",
    { "aria-label": "Operation" },
    el("p.path", {}, el("a", { href: "#/" }, "Overview")),
    el("h1", {}, el("span.tag", {}, kind), " ", el("span.value", {}, title)),
    missing,
    facts,
    charts,
    el("h2", {}, "Latest traces ", el("a.more", { href: view("traces", null, { operation: key }) }, "filter them")),
    latest.element,
  );

  async function refresh(overview, signal) {
    const found = overview.operations.find((operation) => operation.key === key);
    missing.hidden = Boolean(found);
    charts.hidden = facts.hidden = !found;
    if (found) update(found);
    const { traces } = await api("traces", { operation: key, limit: 20 }, signal);
    latest.update(traces);
  }

  function update(found) {
    const history = state.operations.of(key);
    const values = [rate(history.rate.last), count(found.count), null, duration(found.count ? found.sum / found.count : null), duration(found.p50), duration(found.p95), duration(found.p99)];
    patch(facts, FACTS, (fact) => fact, createFact, (node, fact) => {
      if (fact === "Errors") showErrors(node.lastChild, found);
      else setText(node.lastChild, values[FACTS.indexOf(fact)]);
    });
    histogram.update(title, found.buckets);
    for (const [caption, spark, name] of sparks) {
      spark.update(history[name]);
      setText(spark.caption, `${caption}: ${history[name].last == null ? "–" : spark.format(history[name].last)}`);
    }
  }

  return { title, element, refresh, up: () => "#/", held: () => latest.held() };
}

function createFact(fact) {
  return el("div", {}, el("dt", {}, fact), el("dd"));
}
