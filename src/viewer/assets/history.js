// Rates and percentiles while the page is open: the service has totals since its start.

const POINTS = 300;
const WINDOW = 10_000;

/** Values over time, oldest first. Old ones are dropped. */
export class Series {
  points = [];

  add(time, value) {
    this.points.push({ time, value });
    if (this.points.length > POINTS) this.points.shift();
  }

  get last() {
    return this.points.at(-1)?.value ?? null;
  }
}

/** The rate of a total that only grows. */
export class Rate extends Series {
  totals = [];

  addTotal(time, total) {
    if (this.totals.length && total < this.totals.at(-1).total) this.totals = [];
    this.totals.push({ time, total });
    while (this.totals.length > 2 && this.totals[1].time <= time - WINDOW / 2) this.totals.shift();
    const first = this.totals[0];
    if (time > first.time) this.add(time, ((total - first.total) * 1000) / (time - first.time));
  }
}

/** An operation: its rate, and the P95 of the last ten seconds. */
class Operation {
  rate = new Rate();
  errorRate = new Rate();
  p95 = new Series();
  #buckets = [];

  add(time, operation) {
    this.rate.addTotal(time, operation.count);
    this.errorRate.addTotal(time, operation.errors);
    const counts = operation.buckets.map((bucket) => bucket.count);
    this.#buckets.push({ time, counts });
    while (this.#buckets.length > 2 && this.#buckets[1].time <= time - WINDOW) this.#buckets.shift();
    const first = this.#buckets[0].counts;
    const recent = counts.map((value, index) => Math.max(0, value - (first[index] ?? 0)));
    this.p95.add(time, quantile(0.95, operation.buckets.map((bucket) => bucket.le), recent));
  }
}

/** The quantile of a histogram, interpolated within its bucket. Null without measurements. */
export function quantile(q, bounds, counts) {
  const total = counts.reduce((sum, value) => sum + value, 0);
  if (!total) return null;
  let below = 0;
  for (let index = 0; index < counts.length; index++) {
    const lower = index ? bounds[index - 1] : 0;
    if (below + counts[index] >= q * total) {
      if (bounds[index] == null) return lower;
      return lower + ((bounds[index] - lower) * (q * total - below)) / counts[index];
    }
    below += counts[index];
  }
  return null;
}

/** The operations by key. A restart of the service clears them. */
export class Operations {
  #started = null;
  #byKey = new Map();

  add(overview) {
    if (this.#started !== overview.started) this.#byKey.clear();
    this.#started = overview.started;
    for (const operation of overview.operations) this.of(operation.key).add(overview.now, operation);
  }

  of(key) {
    if (!this.#byKey.has(key)) this.#byKey.set(key, new Operation());
    return this.#byKey.get(key);
  }
}
