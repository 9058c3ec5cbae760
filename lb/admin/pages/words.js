// Figures in words: three digits that count, and their unit.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1234567 -> "1,234,567" */
export const count = (n) => whole.format(n);

/** A number of any size in about three digits; "–" for none. */
export function figure(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  const size = Math.abs(n);
  if (size === 0) return "0";
  if (size >= 99.95) return whole.format(n);
  if (size >= 9.95) return n.toFixed(1).replace(/\.0$/, "");
  if (size >= 0.995) return n.toFixed(2).replace(/\.?0+$/, "");
  return size >= 0.005 ? n.toFixed(2) : "<0.01";
}

/** Seconds as [number, unit], for whoever sets them in two sizes. */
export function parts(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return ["–", ""];
  if (s >= 0.9995) return [figure(s), "s"];
  if (s >= 0.0009995) return [figure(s * 1e3), "ms"];
  return s > 0 ? [figure(s * 1e6), "µs"] : ["0", "ms"];
}

/** 0.0123 -> "12.3 ms" */
export const seconds = (s) => parts(s).join(" ").trim();

/** How long: "8 s", "3 min", "2 h", "4 d". */
export function span(s) {
  if (s === null || s === undefined) return "–";
  if (s < 1) return "<1 s";
  if (s < 100) return `${Math.floor(s)} s`;
  if (s < 6000) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** 0.333 -> "33.3 %" */
export function share(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  const percent = x * 100;
  if (percent === 0) return "0 %";
  if (percent < 0.1) return "<0.1 %";
  return `${percent >= 9.95 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

/** "queue_full" -> "queue full" */
export const plain = (word) => String(word).replaceAll("_", " ");

/** "1 backend", "2 backends" */
export const counted = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
