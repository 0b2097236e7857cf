// Texts of numbers, times and values.

const number = (value, digits = 3) => Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 9 });

/** A duration that is given in seconds. */
export function duration(seconds) {
  if (seconds == null) return "–";
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 999.5e-9) return `${number(seconds * 1e9)} ns`;
  if (size < 999.5e-6) return `${number(seconds * 1e6)} µs`;
  if (size < 0.9995) return `${number(seconds * 1e3)} ms`;
  if (size < 120) return `${number(seconds)} s`;
  if (size < 7200) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function bytes(value) {
  if (value == null) return "–";
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (Math.abs(value) >= size) return `${number(value / size)} ${unit}`;
  }
  return `${number(value)} B`;
}

export const count = (value) => (value == null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 2 }));

/** A rate per second. */
export function rate(value) {
  if (value == null) return "–";
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

export const percent = (value) => `${number(value * 100, value < 0.1 ? 2 : 3)} %`;

/** The time of day with milliseconds, in the time zone of the reader. */
export function timeOfDay(milliseconds) {
  const time = new Date(milliseconds);
  const pad = (part, digits = 2) => String(part).padStart(digits, "0");
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${pad(time.getMilliseconds(), 3)}`;
}

/** `singular` or its plural with "s", after the number. */
export const plural = (value, singular) => `${count(value)} ${singular}${value === 1 ? "" : "s"}`;

/** The value of an attribute, as text. */
export const attributeText = (value) => printable(typeof value === "object" ? JSON.stringify(value) : value);

/**
 * Shows characters that are invisible, or that change the direction of the text around them. Line feeds and
 * tabs stay. A missing text is empty.
 */
export function printable(text) {
  return String(text ?? "").replace(/[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu,
    (c) => `‹U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);
}

/** The beginning of a text that may be very long, for tooltips. */
export const beginning = (text) => (text.length > 500 ? `${text.slice(0, 500)}…` : text);

/** The first digits of an id. */
export const short = (id) => id.slice(0, 8);
