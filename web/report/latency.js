// RQ3: measured time, plain against cached, by turns in one run.
import { h, key, table } from "../shared/dom.js";
import { interval, known, milliseconds, percent, whole } from "../shared/format.js";
import { timeBars } from "../shared/chart.js";
import { planName } from "./names.js";

const quantileLines = (q) => [
  { name: "mean", value: milliseconds(q.mean) },
  { name: "median (p50)", value: milliseconds(q.p50) },
  { name: "p90", value: milliseconds(q.p90) },
  { name: "p99", value: milliseconds(q.p99) },
];

function bars(row) {
  const one = (name, color, q, values) => ({ name, color, ...q, values, lines: quantileLines(q) });
  const rows = [one("plain", "var(--plain)", row.plain, row.plain_ms), one("cached", "var(--hit)", row.cached, row.cached_ms)];
  if (row.batch > 1) {
    if (known(row.answer.p50) && row.answer.p50 > 0) rows.push(one("mean answer", "var(--agree)", row.answer));
    if (known(row.first.p50) && row.first.p50 > 0) rows.push(one("first answer", "var(--apart)", row.first));
  }
  return timeBars({ label: `Times at batch size ${row.batch}.`, rows });
}

// How much of the arithmetic saved arrives as time saved.
const arrives = (row) => (row.flops_saved > 0 ? row.saved.value / row.flops_saved : null);

export function latency(data) {
  if (data.latency.length === 0) return null;
  const several = data.plans.length > 1;
  const predicted = data.latency.some((row) => known(row.predicted_saving));
  const repeats = Math.max(...data.latency.map((row) => row.repeats));
  const least = Math.min(...data.latency.map((row) => row.repeats));
  const columns = [
    { name: "Batch", cell: (r) => whole(r.batch) },
    several && { name: "Plan", cell: (r) => planName(data.plans[r.plan]) },
    { name: "", cell: (r) => r.side },
    least < repeats && { name: "Runs", numeric: true, cell: (r) => whole(r.repeats) },
    { name: "Mean", numeric: true, cell: (r) => milliseconds(r.q.mean) },
    { name: "p50", numeric: true, cell: (r) => milliseconds(r.q.p50) },
    { name: "p90", numeric: true, cell: (r) => milliseconds(r.q.p90) },
    { name: "p99", numeric: true, cell: (r) => milliseconds(r.q.p99) },
  ].filter(Boolean);
  const rows = data.latency.flatMap((row) => [
    { ...row, side: "plain", q: row.plain },
    { ...row, side: "cached", q: row.cached },
    ...(row.batch > 1 ? [{ ...row, side: "mean answer", q: row.answer }, { ...row, side: "first answer", q: row.first }] : []),
  ]);
  return {
    id: "latency",
    short: "Time",
    title: "Time",
    tag: "RQ3",
    body: [
      h("p", {}, "The same batches went through the plain backbone, in its fastest form, and through the cached one, by turns",
        repeats > 0 && `, ${least < repeats ? `${whole(least)} to ` : ""}${whole(repeats)} times each`,
        data.threads > 0 && `, on ${whole(data.threads)} ${data.threads === 1 ? "thread" : "threads"}`,
        data.device && ` (${data.device}${data.precision ? `, ${data.precision}` : ""})`,
        ". p50 is the median, p90 the time that nine of ten runs keep within, p99 ninety-nine of a hundred. In a batch the first answer comes long before the last: “mean answer” is how long a sample waits for its own."),
      table([
        { name: "Batch", cell: (r) => whole(r.batch) },
        several && { name: "Plan", cell: (r) => planName(data.plans[r.plan]) },
        { name: "Plain, mean", numeric: true, cell: (r) => milliseconds(r.plain.mean) },
        { name: "Cached, mean", numeric: true, cell: (r) => milliseconds(r.cached.mean) },
        { name: "Time saved (95 %)", numeric: true, cell: (r) => interval(r.saved) },
        predicted && { name: "Predicted", numeric: true, cell: (r) => percent(r.predicted_saving) },
        { name: "Arithmetic saved", numeric: true, cell: (r) => percent(r.flops_saved) },
        { name: "Arrives as time", numeric: true, cell: (r) => (known(arrives(r)) ? percent(arrives(r), 0) : "–") },
      ].filter(Boolean), data.latency, { caption: "Time saved per batch size" }),
      key([
        { name: "bar: median", color: "var(--plain)", shape: "block" },
        { name: "line: to p99, tick at p90", color: "var(--ink)" },
        { name: "dots: single runs", color: "var(--muted)", shape: "dot" },
      ]),
      h("div", { class: "grid" }, data.latency.map((row) =>
        h("figure", { class: "card" },
          h("figcaption", {}, h("b", {}, row.batch === 1 ? "One sample" : `Batch of ${whole(row.batch)}`), h("span", {}, `${percent(row.saved.value)} saved`), several && h("em", {}, `plan ${planName(data.plans[row.plan])}`)),
          bars(row)))),
      h("details", {}, h("summary", {}, "All times in figures"), table(columns, rows, { caption: "Latency quantiles", rowClass: (r) => r.side === "plain" && "group" })),
    ],
  };
}
