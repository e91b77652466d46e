// RQ1, alone: each cache model over all thresholds, and whether its confidence means what
// it says.
import { h, key } from "../shared/dom.js";
import { known, percent, points, whole } from "../shared/format.js";
import { lineChart, pointChart } from "../shared/chart.js";

const asPercent = (value) => percent(value, 0);
const nice = (value) => {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((k) => k * step).find((limit) => limit >= value);
};

function curves(data, curve, planned) {
  const rows = curve.threshold.map((threshold, i) => ({
    threshold,
    hit_rate: curve.hit_rate[i],
    cache_accuracy: curve.cache_accuracy[i],
    gt_accuracy: curve.gt_accuracy[i],
    drop: curve.drop[i],
    effect: curve.effect[i],
  })).sort((a, b) => a.threshold - b.threshold);
  const labels = curve.gt_accuracy.some(known);
  // Thresholds far below any that a plan would take must not flatten what matters.
  const most = Math.max(0.001, ...rows.map((row) => row.drop));
  const worst = data.tolerance > 0 ? Math.min(most, Math.max(4 * data.tolerance, 0.01)) : most;
  const best = labels ? Math.max(0, ...rows.map((row) => row.effect)) : 0;
  const floor = Math.min(rows[0].threshold, 0.95);
  const upper = [
    { key: "hit_rate", name: "hit rate", color: "var(--hit)", tipFormat: percent },
    { key: "cache_accuracy", name: "as the backbone", color: "var(--agree)", tipFormat: percent },
    labels && { key: "gt_accuracy", name: "right", color: "var(--truth)", dash: "5,3", tipFormat: percent },
  ].filter(Boolean);
  // The true effect counts downwards, so that a loss stands beside its bound.
  if (labels) for (const row of rows) row.loss = -row.effect;
  const lower = [
    { key: "drop", name: "bound of the drop", color: "var(--lose)", tipFormat: percent },
    labels && { key: "loss", name: "true drop", color: "var(--truth)", dash: "5,3", tipFormat: (v) => points(v).replace("+", "") },
  ].filter(Boolean);
  return lineChart({
    label: `${curve.layer}: hit rate, agreement and accuracy drop against the threshold.`,
    rows,
    x: { key: "threshold", label: "confidence threshold", name: "threshold", domain: [Math.floor(floor * 20) / 20, 1], format: (v) => String(Number(v.toFixed(3))), tipFormat: (v) => v.toFixed(3) },
    markers: planned === undefined ? [] : [{ x: planned, label: `plan: ${planned.toFixed(3)}` }],
    panels: [
      { height: 190, label: "share of samples, of answers", domain: [0, 1], format: asPercent, series: upper },
      {
        height: 130,
        label: most > worst ? "accuracy drop (cut off above)" : "accuracy drop",
        domain: [best > 0.002 ? -nice(best) : 0, nice(worst)],
        format: (v) => percent(v, worst < 0.03 ? 1 : 0),
        series: lower,
        rules: data.tolerance > 0 && data.tolerance < nice(worst) ? [{ y: data.tolerance, label: "tolerance", color: "var(--muted)" }] : [],
      },
    ],
  });
}

export function alone(data, chosen) {
  if (data.alone.length === 0) return null;
  const labels = data.alone.some((curve) => curve.gt_accuracy.some(known));
  const planned = (layer) => data.plans[chosen].exits.slice(0, -1).find((exit) => exit.layer === layer)?.threshold;
  return {
    id: "alone",
    short: "Each cache alone",
    title: "How good is each cache model by itself?",
    tag: "RQ1",
    body: [
      h("p", {}, "A cache model answers only where its confidence reaches a threshold. A high threshold answers few samples and is rarely wrong; a low one answers many. Each chart lets all samples reach that cache model and tries every threshold. ",
        "The lower part is the price: the share of all samples answered otherwise than by the backbone, an upper bound of the accuracy lost that needs no labels", labels ? ", and the true drop beside it." : "."),
      key([
        { name: "hit rate: share of the samples it answers", color: "var(--hit)" },
        { name: "share of those answers that are the backbone’s", color: "var(--agree)" },
        { name: "bound of the accuracy drop", color: "var(--lose)" },
        ...(labels ? [{ name: "with labels: share right, true drop", color: "var(--truth)", dashed: true }] : []),
      ]),
      h("div", { class: "grid" }, data.alone.map((curve) =>
        h("figure", { class: "card" },
          h("figcaption", {}, h("b", {}, curve.layer), h("span", {}, curve.architecture), planned(curve.layer) === undefined && h("em", {}, "not in this plan")),
          curve.threshold.length > 0 ? curves(data, curve, planned(curve.layer)) : h("p", {}, "No samples.")))),
    ],
  };
}

function bins(r, when, color) {
  const total = r[`count_${when}`].reduce((sum, n) => sum + n, 0) || 1;
  return r[`count_${when}`]
    .map((n, i) => ({ n, x: r[`confidence_${when}`][i], y: r[`agreement_${when}`][i], low: r.edge[i], high: r.edge[i + 1] }))
    .filter((bin) => bin.n > 0 && known(bin.x) && known(bin.y))
    .map((bin) => ({
      x: bin.x,
      y: bin.y,
      r: 2.5 + 9 * Math.sqrt(bin.n / total),
      hollow: when === "before",
      title: `${when} calibration, confidence ${bin.low.toFixed(2)}–${bin.high.toFixed(2)}`,
      lines: [
        { color, name: "samples", value: whole(bin.n) },
        { name: "mean confidence", value: percent(bin.x) },
        { name: "as the backbone", value: percent(bin.y) },
      ],
    }));
}

export function reliability(data) {
  if (data.reliability.length === 0) return null;
  return {
    id: "reliability",
    short: "Trust in confidence",
    title: "Does its confidence mean what it says?",
    tag: "calibration",
    body: [
      h("p", {}, "Of the answers given with 90 % confidence, 90 % should be the backbone’s: then the points lie on the diagonal. Below it a cache model is too sure of itself. Calibration divides its scores by one number, the temperature, fitted on validation data. ECE, the expected calibration error, is the mean distance from the diagonal. Larger points hold more samples."),
      key([{ name: "before calibration", color: "var(--plain)", dashed: true }, { name: "after", color: "var(--agree)" }, { name: "ideal", color: "var(--muted)", dashed: true }]),
      h("div", { class: "grid thirds" }, data.reliability.map((r) =>
        h("figure", { class: "card" },
          h("figcaption", {}, h("b", {}, r.layer), h("span", {}, `temperature ${r.temperature.toFixed(2)} · ECE ${percent(r.ece_before)} → ${percent(r.ece_after)}`)),
          pointChart({
            label: `${r.layer}: agreement against confidence, before and after calibration.`,
            square: true,
            x: { domain: [0, 1], label: "confidence", format: asPercent },
            y: { domain: [0, 1], label: "agreement with the backbone", format: asPercent },
            guides: [[0, 0, 1, 1]],
            series: [
              { name: "before", color: "var(--plain)", dash: "4,3", joined: true, points: bins(r, "before", "var(--plain)") },
              { name: "after", color: "var(--agree)", joined: true, points: bins(r, "after", "var(--agree)") },
            ],
          })))),
    ],
  };
}
