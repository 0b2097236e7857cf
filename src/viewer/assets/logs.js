// Log lines, live.

const here = (name) => import(new URL(`?${name}`, import.meta.url));
const { el, setText, table } = await here("dom.js");
const { api, view } = await here("api.js");
const { count, plural, short, timeOfDay } = await here("format.js");
const { LEVELS, lineRow } = await here("lines.js");
const { select } = await here("traces.js");

const LIMIT = 500;
const MOST_ROWS = 2000;

export function logs({ query, setQuery }) {
  let next;
  let isFollowing = true;
  let unseen = 0;
  let last = {};
  const level = select("Level", [["", "All levels"], ...LEVELS.slice(1).map((name) => [name, name === "ERROR" ? "ERROR only" : `${name} and above`])]);
  const text = el("input", { type: "search", placeholder: "Text, target or attribute ( / )", "aria-label": "Text in the line" });
  const summary = el("p.summary", { "aria-live": "polite" });
  const form = el("form.filters", { role: "search", oninput: changed, onsubmit: (event) => event.preventDefault() }, level, text, summary);
  const rows = table("Log lines, the latest last", [["Time", "time"], "Level", "Target", "Text", "Trace"]);
  rows.className = "lines";
  const body = rows.tBodies[0];
  const scroller = el("div.scroll.follow", { onscroll: scrolled, tabindex: "0", role: "region", "aria-label": "Log lines" }, rows);
  const follow = el("button.to-end", { type: "button", hidden: true, onclick: toEnd });
  const element = el("section.logs", { "aria-label": "Logs" }, el("h1", {}, "Logs"), form, scroller, follow);
  new ResizeObserver(() => isFollowing && toEnd()).observe(scroller);
  level.value = query.get("level") ?? "";
  text.value = query.get("text") ?? "";

  const filters = () => ({ level: level.value, text: text.value });

  function changed() {
    body.replaceChildren();
    next = undefined;
    toEnd();
    setQuery(view("logs", null, filters()));
  }

  async function refresh(_overview, signal) {
    const answer = await api("logs", { after: next, ...filters(), limit: LIMIT }, signal);
    // The service has started again, and counts from zero.
    if (next !== undefined && answer.next < next) return changed();
    if (answer.missed) note(`${plural(answer.missed, "line")} left the memory before this page asked for them`);
    // The service answers with the latest lines: those before them are left out.
    else if (next !== undefined && answer.lines.length === LIMIT) note("Some lines are left out, because the service writes faster than anyone reads");
    next = answer.next;
    append(answer.lines);
    setText(summary, body.rows.length ? "" : "No line yet.");
  }

  function append(lines) {
    const shown = Number(body.lastElementChild?.dataset.seq ?? -1);
    if (!isFollowing && body.rows.length >= MOST_ROWS) {
      unseen += lines.length;
      return showFollow();
    }
    for (const line of lines) {
      const link = line.trace && el("a", { href: view("trace", line.trace, { span: line.span }), "data-row": "", "aria-label": `Trace ${short(line.trace)}` }, short(line.trace));
      if (line.seq > shown) body.append(lineRow(line, timeOfDay(line.time), link));
    }
    if (isFollowing) {
      while (body.rows.length > MOST_ROWS) body.rows[0].remove();
      scroller.scrollTop = scroller.scrollHeight;
    } else {
      unseen += lines.length;
      showFollow();
    }
  }

  function note(words) {
    const { seq } = body.lastElementChild?.dataset ?? {};
    body.append(el("tr.gap", seq == null ? {} : { "data-seq": seq }, el("td", { colspan: "5" }, `… ${words}`)));
  }

  function scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = scroller;
    // Only a reader scrolls up without a change of the size.
    const isBack = scrollTop < last.scrollTop && scrollHeight === last.scrollHeight && clientHeight === last.clientHeight;
    last = { scrollTop, scrollHeight, clientHeight };
    if (scrollTop + clientHeight >= scrollHeight - 8) toEnd();
    else if (isBack) isFollowing = false;
    showFollow();
  }

  function showFollow() {
    follow.hidden = isFollowing;
    setText(follow, unseen ? `↓ ${count(unseen)} new` : "↓ Follow");
  }

  function toEnd() {
    isFollowing = true;
    unseen = 0;
    scroller.scrollTop = scroller.scrollHeight;
    showFollow();
  }

  return { title: "Logs", element, refresh, held: () => (isFollowing ? undefined : "not following") };
}
