// RQ1, together: the plan drawn along the backbone, and exit by exit in figures.
import { h, table } from "../shared/dom.js";
import { count, interval, known, percent, range, setting, signed, whole } from "../shared/format.js";
import { drawPlan, exitColor } from "../shared/flow.js";
import { exitName, isEmpty } from "./names.js";

function depths(data, plan) {
  let passed = 0;
  return plan.exits.map((exit, i) => {
    passed += exit.segment_flops;
    const mark = data.layers.find((layer) => layer.name === exit.layer);
    if (i === plan.exits.length - 1) return 1;
    return mark ? mark.flops_before : passed / data.backbone_flops;
  });
}

export function flow(data, chosen) {
  const plan = data.plans[chosen];
  const at = depths(data, plan);
  const exits = plan.exits.map((exit, i) => ({
    name: exitName(exit),
    depth: at[i],
    share: exit.share,
    lines: i < plan.exits.length - 1
      ? [`after ${percent(at[i], 0)} of the work`, `${percent(exit.cache_accuracy.value)} as backbone`]
      : ["needed all of it"],
    detail: [`${whole(exit.hits)} of ${whole(exit.reach)} that reach it`],
  }));
  const sentence = exits.map((exit) => `${percent(exit.share)} at ${exit.name}`).join(", ");
  return {
    id: "flow",
    short: "Where samples leave",
    title: "Where the samples leave",
    body: [
      h("p", {}, isEmpty(plan)
        ? "No exit is used: every sample runs through the whole backbone."
        : "The line is the backbone from its first layer to its last, measured in arithmetic; the small dots are the layers where an exit could stand, the large ones where this plan has one. The stream below it is all samples: each colour is the part that gets its answer at that exit and spends nothing further on."),
      h("figure", {}, drawPlan({ exits, layers: data.layers.map((l) => ({ name: l.name, depth: l.flops_before })), label: `Where the samples leave: ${sentence}.` })),
    ],
  };
}

export function exitTable(data, chosen) {
  const plan = data.plans[chosen];
  const labels = data.labelled > 0;
  const last = plan.exits.length - 1;
  const swatch = (exit) => h("i", { class: "swatch", style: `--c: ${exitColor(plan.exits.indexOf(exit), plan.exits.length)}` });
  const cached = (exit) => plan.exits.indexOf(exit) < last;
  const within = (i) => [percent(i.value), range(i) && h("small", {}, range(i))];
  const inPoints = (i) => [signed(i.value), range(i) && h("small", {}, `${signed(i.low)} to ${signed(i.high)}`)];
  const columns = [
    { name: "Exit", cell: (e) => [h("span", { class: "nowrap" }, swatch(e), exitName(e)), e.architecture && h("small", {}, e.architecture)] },
    { name: "Threshold", numeric: true, cell: (e) => (cached(e) ? e.threshold.toFixed(3) : "–") },
    { name: "Reach it", numeric: true, cell: (e) => whole(e.reach) },
    { name: "Leave", numeric: true, cell: (e) => whole(e.hits) },
    { name: "Hit rate", numeric: true, cell: (e) => within(e.hit_rate) },
    { name: "Of all", numeric: true, cell: (e) => percent(e.share) },
    { name: "As backbone", numeric: true, cell: (e) => (cached(e) && e.hits > 0 ? within(e.cache_accuracy) : "–") },
    labels && { name: "Right", numeric: true, cell: (e) => (e.hits > 0 ? within(e.gt_accuracy) : "–") },
    labels && { name: "Backbone right", numeric: true, cell: (e) => percent(e.backbone_accuracy) },
    labels && { name: "Effect, points", numeric: true, cell: (e) => inPoints(e.effect) },
    { name: "Look-up FLOPs", numeric: true, cell: (e) => (cached(e) ? count(e.cache_flops) : "–") },
  ].filter(Boolean);
  const overall = labels && known(plan.accuracy_plain.value)
    ? ` Over all samples: ${interval(plan.agreement)} of the answers are the backbone’s; accuracy ${percent(plan.accuracy_plain.value)} without caching, ${percent(plan.accuracy_cached.value)} with it.`
    : ` Over all samples: ${interval(plan.agreement)} of the answers are the backbone’s.`;
  return {
    id: "exits",
    short: "Exit by exit",
    title: "Exit by exit",
    tag: "RQ1",
    body: [
      h("p", {}, "“Hit rate” counts among the samples that reach an exit, “of all” among all samples. “As backbone” is the share of its answers that are the backbone’s own.",
        labels && " “Effect” is what the exit adds to the accuracy over all samples; below zero it loses.", " Small figures are 95 % intervals.", overall),
      table(columns, plan.exits, { caption: "Hits, agreement and cost of each exit", rowClass: (e) => !cached(e) && "total" }),
      h("p", { class: "note" },
        `Thresholds were chosen on the validation part for a tolerance of ${setting(data.tolerance)}${data.budget ? ` (budget “${data.budget}”)` : ""}${data.cost_kind ? `, to save ${data.cost_kind === "latency" ? "measured time" : "arithmetic"}` : ""}. There the plan was expected to save ${percent(plan.predicted_saving)} and to change ${percent(plan.predicted_risk)} of the answers; on the test part it changes ${percent(1 - plan.agreement.value)}.`),
    ],
  };
}
