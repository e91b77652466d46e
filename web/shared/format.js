// Figures as people read them. null stands for "not known" everywhere.

const gap = "\u00a0";
const none = "–";
const minus = (text) => text.replace("-", "−");
export const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

// Near 0 and 1 a tenth of a percent is too coarse.
const digitsOf = (share) => (share === 0 || share === 1 ? 0 : share > 0.05 && share < 0.95 ? 1 : 2);

export const percent = (share, digits) =>
  known(share) ? minus((100 * share).toFixed(digits ?? digitsOf(Math.abs(share)))) + gap + "%" : none;

// A share that was asked for: 2 %, 0.5 %.
export const setting = (share) => (known(share) ? `${Number((100 * share).toFixed(3))}${gap}%` : none);

export const signed = (share, digits = 2) => {
  if (!known(share)) return none;
  const text = (100 * share).toFixed(digits);
  return (Number(text) > 0 ? "+" : "") + minus(Number(text) === 0 ? (0).toFixed(digits) : text);
};
export const points = (share, digits) => (known(share) ? `${signed(share, digits)}${gap}points` : none);

export const whole = (value) => (known(value) ? Math.round(value).toLocaleString("en-US") : none);

const significant = (value, digits) => {
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return minus(value.toFixed(Math.min(places, 6)));
};

function scaled(value, base, units) {
  let i = 0;
  while (Math.abs(value) >= base && i < units.length - 1) {
    value /= base;
    i += 1;
  }
  return `${i === 0 ? minus(String(Math.round(value * 100) / 100)) : significant(value, 3)}${gap}${units[i]}`.trim();
}
export const count = (value) => (known(value) ? scaled(value, 1000, ["", "K", "M", "G", "T", "P"]) : none);
export const bytes = (value) =>
  known(value) && value >= 0 ? scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]) : none;

export const milliseconds = (value) => {
  if (!known(value)) return none;
  if (Math.abs(value) >= 1000) return significant(value / 1000, 3) + gap + "s";
  return significant(value, 3) + gap + "ms";
};

// "97.5–98.6", the range of a 95 % interval, as precise as its value; "" without one.
export function range(i) {
  if (!known(i?.value) || !known(i.low) || !known(i.high) || i.high <= i.low) return "";
  const digits = i.value === 0 || i.value === 1 ? 2 : digitsOf(Math.abs(i.value));
  const bare = (share) => minus((100 * share).toFixed(digits));
  return i.low < 0 ? `${bare(i.low)} to ${bare(i.high)}` : `${bare(i.low)}–${bare(i.high)}`;
}
// "98.1 % (97.5–98.6)"
export const interval = (i) => percent(i?.value) + (range(i) ? ` (${range(i)})` : "");

export const plural = (count, one, many) => `${whole(count)} ${count === 1 ? one : many ?? one + "s"}`;
