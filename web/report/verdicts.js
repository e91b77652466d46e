// With labels: who is right where cache model and backbone differ. And per class: who
// leaves early.
import { h, key, table } from "../shared/dom.js";
import { percent, points, whole } from "../shared/format.js";
import { exitColor } from "../shared/flow.js";
import { className, exitName, isEmpty } from "./names.js";

const COLORS = ["var(--good)", "var(--same)", "var(--lose)", "var(--hit)", "var(--apart)"];
const LOSES = 2;
const WINS = 3;

export function verdicts(data, chosen) {
  const plan = data.plans[chosen];
  const exits = plan.exits.slice(0, -1);
  if (data.labelled === 0 || exits.length === 0) return null;
  const names = data.verdicts;
  const total = names.map((_, k) => exits.reduce((sum, exit) => sum + exit.verdicts[k], 0));
  const rows = [...exits.map((exit) => ({ name: exitName(exit), counts: exit.verdicts })), { name: "all exits", counts: total, all: true }];
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  // Where the two agree says little; what differs is a sliver, so it gets a bar of its own.
  const differing = [LOSES, WINS, 4];
  const scale = Math.max(1, differing.reduce((a, k) => a + total[k], 0));
  const strip = (row) => h("div", { class: "strip", "aria-hidden": "true" }, differing.map((k) =>
    row.counts[k] > 0 && h("i", { style: `--c: ${COLORS[k]}; flex-basis: ${(100 * row.counts[k] / scale).toFixed(2)}%`, title: `${names[k]}: ${whole(row.counts[k])}` })));
  const effect = (total[WINS] - total[LOSES]) / data.labelled;
  const columns = [
    { name: "Exit", cell: (row) => row.name },
    { name: "Answers", numeric: true, cell: (row) => whole(sum(row.counts)) },
    ...names.map((name, k) => ({ name: h("span", {}, h("i", { class: "swatch", style: `--c: ${COLORS[k]}` }), name), numeric: true, cell: (row) => whole(row.counts[k]) })),
    { name: "Where they differ", cell: strip },
  ];
  return {
    id: "verdicts",
    short: "When they differ",
    title: "When the answers differ, who is right?",
    tag: "RQ1",
    body: [
      h("p", {}, "An early answer that differs from the backbone’s costs accuracy only where the backbone would have been right; where the backbone was wrong, it can even win. ",
        `Here caching loses ${whole(total[LOSES])} samples and wins ${whole(total[WINS])}: `, h("b", {}, points(effect)), " of accuracy in all. The bars show only where the answers differ."),
      table(columns, rows, { caption: "Early answers by who is right", rowClass: (row) => row.all && "total" }),
    ],
  };
}

const SHOWN = 12;

export function classes(data, chosen) {
  const plan = data.plans[chosen];
  if (plan.classes.length === 0 || isEmpty(plan)) return null;
  const rows = plan.classes.filter((c) => c.samples > 0)
    .map((c) => ({ ...c, share: c.early / c.samples, risk: c.differing / c.samples }))
    .sort((a, b) => b.share - a.share || a.label - b.label);
  const meter = (share, most, kind) => h("div", { class: `meter ${kind}` }, h("i", {}, h("i", { style: `width: ${(100 * share / (most || 1)).toFixed(1)}%` })), h("b", {}, percent(share, 1)));
  const worst = Math.max(...rows.map((row) => row.risk));
  const columns = [
    { name: "Class", cell: (c) => className(data, c.label) },
    { name: "Samples", numeric: true, cell: (c) => whole(c.samples) },
    { name: "Leave early", cell: (c) => meter(c.share, 1, "early") },
    { name: "Answered otherwise", cell: (c) => meter(c.risk, worst, "differ") },
  ];
  const many = rows.length > 2 * SHOWN;
  const first = many ? [...rows.slice(0, SHOWN), ...rows.slice(-SHOWN)] : rows;
  return {
    id: "classes",
    short: "Class by class",
    title: "Which classes leave early?",
    body: [
      h("p", {}, "By the backbone’s class. Easy classes pay for caching, hard ones carry its risk. A class whose answers change much more often than the others’ deserves a look before deployment."),
      many && h("p", { class: "note" }, `The ${SHOWN} classes that leave earliest and the ${SHOWN} that leave latest.`),
      table(columns, first, { caption: "Early exits and changed answers per class" }),
      many && h("details", {}, h("summary", {}, `All ${whole(rows.length)} classes`), table(columns, rows, { caption: "All classes" })),
    ],
  };
}
