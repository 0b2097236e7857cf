// Charts as SVG. Each has a text alternative; errors have a shape of their own, not only a colour.

const { svg, setAttribute, setText, patch } = await import(new URL("?dom.js", import.meta.url));
const { duration, count, rate } = await import(new URL("?format.js", import.meta.url));

/** The range of a bucket, such as "5 ms to 10 ms". */
export function range(buckets, index) {
  const lower = index ? buckets[index - 1].le : 0;
  const upper = buckets[index].le;
  return upper == null ? `over ${duration(lower)}` : `${duration(lower)} to ${duration(upper)}`;
}

/**
 * A histogram whose buckets are links to a trace in them. Heights grow with the square root of the count, so
 * that a few slow requests among many fast ones can be seen.
 */
export class Histogram {
  constructor({ width, height, isLarge }) {
    Object.assign(this, { width, height, isLarge });
    this.title = svg("title");
    this.bars = svg("g");
    this.element = svg(isLarge ? "svg.histogram.large" : "svg.histogram", { viewBox: `0 0 ${width} ${height}`, role: "group" }, this.title, this.bars);
    if (!isLarge) setAttribute(this.element, "width", width), setAttribute(this.element, "height", height);
  }

  update(name, buckets) {
    const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    const label = `Latency of ${name}: ${count(total)} in ${buckets.length} buckets`;
    setText(this.title, label);
    setAttribute(this.element, "aria-label", label);
    this.largest = Math.max(1, ...buckets.map((bucket) => bucket.count));
    this.step = this.width / Math.max(1, buckets.length);
    const items = buckets.map((bucket, index) => ({ bucket, index, range: range(buckets, index) }));
    patch(this.bars, items, ({ bucket, index }) => `${index} ${bucket.trace ? "link" : ""}`, (item) => this.#create(item), (node, item) => this.#update(node, item));
  }

  #create({ bucket, index }) {
    const group = svg(bucket.trace ? "a" : "g", { class: "bucket" });
    group.title = svg("title");
    group.hit = svg("rect.hit", { y: 0, height: this.height });
    group.bar = svg("rect.bar");
    group.append(group.title, group.hit, group.bar);
    if (bucket.trace) {
      group.dot = svg("path.dot");
      group.append(group.dot);
      // In a table of operations the links would be hundreds of tab stops. The page of the operation has them.
      if (!this.isLarge) group.setAttribute("tabindex", "-1");
    }
    if (this.isLarge) {
      group.count = svg("text.count", { "text-anchor": "middle" });
      group.bound = svg("text.bound", { "text-anchor": "end", y: this.height - 4 });
      group.append(group.count, group.bound);
    }
    group.dataset.bucket = index;
    return group;
  }

  #update(group, { bucket, index, range }) {
    const base = this.isLarge ? this.height - 20 : this.height - 1;
    const top = this.isLarge ? 34 : 8;
    const height = bucket.count ? Math.max(1.5, (base - top) * Math.sqrt(bucket.count / this.largest)) : 0;
    const left = index * this.step;
    const gap = this.isLarge ? 4 : 1;
    set(group.hit, { x: left, width: this.step });
    set(group.bar, { x: left + gap / 2, width: this.step - gap, y: base - height, height });
    const text = `${range}: ${count(bucket.count)}`;
    const { trace } = bucket;
    if (trace) {
      const label = `${text}. Trace ${trace.id.slice(0, 8)}, ${duration(trace.duration)}${trace.is_error ? ", failed" : ""}`;
      setText(group.title, label);
      set(group, { href: `#/trace/${trace.id}`, "aria-label": label });
      const middle = left + this.step / 2;
      const size = this.isLarge ? 5 : 2.5;
      set(group.dot, { d: trace.is_error ? diamond(middle, base - height - size - 1, size + 1) : circle(middle, base - height - size - 1, size) });
      group.dot.classList.toggle("error", trace.is_error);
    } else {
      setText(group.title, text);
    }
    if (!this.isLarge) return;
    setText(group.count, bucket.count ? count(bucket.count) : "");
    set(group.count, { x: left + this.step / 2, y: base - height - 16 });
    setText(group.bound, bucket.le == null ? "∞" : duration(bucket.le));
    set(group.bound, { x: left + this.step - 2 });
  }
}

const set = (node, attributes) => Object.entries(attributes).forEach(([name, value]) => setAttribute(node, name, typeof value === "number" ? Math.round(value * 100) / 100 : value));
const circle = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
const diamond = (x, y, r) => `M${x} ${y - r}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`;

/** A line over the time that the page is open. */
export class Sparkline {
  constructor(width, height, label, format = rate) {
    Object.assign(this, { width, height, label, format });
    this.title = svg("title");
    this.base = svg("path.base", { d: `M0 ${height - 0.5}H${width}` });
    this.area = svg("path.area");
    this.line = svg("path.line");
    this.element = svg("svg.sparkline", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", preserveAspectRatio: "none" }, this.title, this.base, this.area, this.line);
  }

  update({ points }) {
    const values = points.filter((point) => point.value != null);
    const latest = values.length ? this.format(values.at(-1).value) : "no value yet";
    const largest = Math.max(0, ...values.map((point) => point.value));
    setText(this.title, `${this.label}: ${latest}; at most ${this.format(largest)}`);
    setAttribute(this.element, "aria-label", this.title.textContent);
    if (!values.length) return setAttribute(this.line, "d", ""), setAttribute(this.area, "d", "");
    const end = points.at(-1).time;
    // The first seconds are not stretched over the whole width.
    const start = Math.min(points[0].time, end - 30_000);
    const x = (time) => (((time - start) / (end - start)) * this.width).toFixed(1);
    const y = (value) => (this.height - 1.5 - (largest ? value / largest : 0) * (this.height - 3)).toFixed(1);
    const path = values.map((point) => `${x(point.time)} ${y(point.value)}`).join("L");
    setAttribute(this.line, "d", `M${path}`);
    setAttribute(this.area, "d", `M${x(values[0].time)} ${this.height}L${path}L${x(values.at(-1).time)} ${this.height}z`);
  }
}
