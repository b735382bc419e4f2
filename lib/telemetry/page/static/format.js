// Writes numbers, times and durations for people. Unknown values are "–".

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
export const UNKNOWN = "–";

const isKnown = (value) => value !== null && value !== undefined;

export function count(value) {
  return isKnown(value) ? WHOLE.format(value) : UNKNOWN;
}

// A rate or another number that may be small: one decimal below 100.
export function rate(value) {
  if (!isKnown(value)) return UNKNOWN;
  return value < 100 ? ONE.format(value) : WHOLE.format(value);
}

export function processors(value) {
  return isKnown(value) ? value.toFixed(2) : UNKNOWN;
}

export function compact(value) {
  return isKnown(value) ? COMPACT.format(value) : UNKNOWN;
}

export function share(part, whole) {
  if (!whole) return UNKNOWN;
  const percent = (100 * part) / whole;
  if (part > 0 && percent < 0.01) return "< 0.01 %";
  return `${percent.toFixed(percent < 1 ? 2 : 1)} %`;
}

// A duration with at most two units.
export function duration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  for (const [unit, name, smaller, smallerName] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole < unit) continue;
    const rest = Math.floor((whole % unit) / smaller);
    return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
  }
  return `${whole} s`;
}

export function bytes(value) {
  if (!isKnown(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (value >= 1024 && step < units.length - 1) { value /= 1024; step += 1; }
  return `${value.toFixed(value < 10 && step > 0 ? 1 : 0)} ${units[step]}`;
}

// The time of day, and the day if it is not that of "now"; both in seconds since 1970.
export function clock(seconds, nowSeconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const at = new Date(seconds * 1000);
  const isToday = at.toDateString() === new Date(nowSeconds * 1000).toDateString();
  return isToday ? CLOCK.format(at) : `${DAY.format(at)}, ${CLOCK.format(at)}`;
}
