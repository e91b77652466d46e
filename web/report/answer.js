// The answer first: three figures, the certificate, and what speaks against caching here.
import { h } from "../shared/dom.js";
import { count, known, milliseconds, percent, plural, setting, signed, whole } from "../shared/format.js";
import { isEmpty, mainLatency, planName } from "./names.js";

const bar = (name, share, text, kind) =>
  h("div", { class: `bar ${kind}` }, h("span", {}, name), h("i", {}, h("i", { style: `width: ${Math.max(0, Math.min(100, 100 * share)).toFixed(1)}%` })), h("b", {}, text));

const figure = (title, value, note, ...rest) =>
  h("div", { class: "figure" }, h("h3", {}, title), h("p", { class: "value" }, value), note && h("p", { class: "note" }, note), rest);

function arithmetic(plan) {
  const saved = 1 - plan.flops_cached / plan.flops_plain;
  return figure(saved < 0 ? "Arithmetic added" : "Arithmetic saved", percent(Math.abs(saved), 1),
    "floating-point operations (FLOPs) per sample, cache models included",
    bar("plain", 1, count(plan.flops_plain), "plain"),
    bar("cached", plan.flops_cached / plan.flops_plain, count(plan.flops_cached), "cached"));
}

function time(data, chosen) {
  const row = mainLatency(data, chosen);
  if (!row) return figure("Time saved", "–", data.latency.length > 0 ? "Times were not measured for this plan." : "Times were not measured in this run.");
  const others = data.latency.filter((one) => one.plan === chosen && one !== row);
  const range = [row, ...others].map((one) => one.saved.value).filter(known);
  const size = row.batch === 1 ? "one sample at a time" : `a batch of ${whole(row.batch)}`;
  return figure(row.saved.value < 0 ? "Time added" : "Time saved", percent(Math.abs(row.saved.value), 1),
    [`for ${size}`, others.length > 0 && `; saves ${percent(Math.min(...range), 1)} to ${percent(Math.max(...range), 1)} over the batch sizes measured`],
    bar("plain", 1, milliseconds(row.plain.mean), "plain"),
    bar("cached", row.cached.mean / row.plain.mean, milliseconds(row.cached.mean), "cached"));
}

function accuracy(data, plan) {
  const differing = 1 - plan.agreement.value;
  if (data.labelled === 0 || !known(plan.effect.value)) {
    return figure("Answers that change", percent(differing),
      "share of the samples whose class is not the backbone’s. The loss of accuracy cannot be larger than that.");
  }
  const effect = plan.effect.value;
  const title = effect < 0 ? "Accuracy lost" : "Accuracy gained";
  return figure(title, [signed(Math.abs(effect)).replace("+", ""), h("small", {}, " points")],
    `95 % interval of the change: ${signed(plan.effect.low)} to ${signed(plan.effect.high)} points`,
    bar("plain", plan.accuracy_plain.value, percent(plan.accuracy_plain.value), "plain"),
    bar("cached", plan.accuracy_cached.value, percent(plan.accuracy_cached.value), "cached"));
}

// Why a plan is the plain backbone: plan.empty.
const NOTHING_CERTIFIED = "nothing certified";
const NO_CERTIFIED_PAYS = "no certified plan pays";

export function promise(plan) {
  const outcome = plan.certificate;
  if (plan.empty === NOTHING_CERTIFIED) {
    return h("p", { class: "badge bad" }, h("b", {}, "Not certified. "),
      `The data set apart for it (${whole(outcome.certify_samples)} samples, ${whole(outcome.certify_differing)} changed by the safest of ${plural(outcome.list_size, "plan")}) could not show that at most ${setting(outcome.epsilon)} of the answers change; `,
      outcome.samples_needed > 0
        ? `at this rate about ${whole(outcome.samples_needed)} samples would be needed.`
        : "no number of samples would help: even the safest plan changes too many.");
  }
  if (plan.empty === NO_CERTIFIED_PAYS) {
    return h("p", { class: "badge plain" }, h("b", {}, "Certified, but of no use here. "),
      `Of the ${plural(outcome.list_size, "plan")} considered ${whole(outcome.list_certified)} ${outcome.list_certified === 1 ? "is" : "are"} certified to change at most ${setting(outcome.epsilon)} of the answers; none of them costs less than the plain backbone ${planName(plan)}.`);
  }
  if (isEmpty(plan)) {
    return h("p", { class: "badge plain" }, "Every answer is the backbone’s own: there is nothing to certify.");
  }
  if (!outcome) {
    return h("p", { class: "badge plain" }, h("b", {}, "No certificate. "),
      "The thresholds keep to their tolerance on the validation data; nothing is promised beyond it.");
  }
  if (!outcome.holds) {
    return h("p", { class: "badge bad" }, h("b", {}, "Not certified. "), "The plan’s certificate does not hold.");
  }
  if (outcome.outside) {
    return h("p", { class: "badge bad" }, h("b", {}, "Outside its certificate. "),
      `The plan is ${outcome.outside}. Inside it, at most ${setting(outcome.epsilon)} of the answers differ from the backbone’s, with ${setting(1 - outcome.delta)} confidence.`);
  }
  return h("p", { class: "badge good" }, h("b", {}, "Certified: "),
    `at most ${setting(outcome.epsilon)} of the answers differ from the backbone’s, with ${setting(1 - outcome.delta)} confidence, for traffic like the data it was tested on.`);
}

const changes = (share, what) => (share >= 0 ? `saves ${percent(share, 0)} of the ${what}` : `adds ${percent(-share, 0)} to the ${what}`);

// "saves 40 % of the arithmetic and 38 % of the time"
function effects(arithmetic, time) {
  const first = changes(arithmetic, "arithmetic");
  if (!known(time)) return first;
  return `${first} and ${arithmetic >= 0 && time >= 0 ? `${percent(time, 0)} of the time` : changes(time, "time")}`;
}

const WHY_EMPTY = {
  [NOTHING_CERTIFIED]: "No plan is used here: some would save, but none could be certified, so the plan is the plain backbone.",
  [NO_CERTIFIED_PAYS]: "Caching does not pay here: plans are certified, but none of them costs less than the plain backbone, which is therefore the plan.",
};

function summary(data, plan, chosen) {
  if (isEmpty(plan)) {
    return h("p", { class: "summary" }, WHY_EMPTY[plan.empty] ??
      "Caching does not pay here: no set of cache models saves more than it costs within the tolerance, so the plan is the plain backbone.");
  }
  const early = 1 - plan.exits[plan.exits.length - 1].share;
  const row = mainLatency(data, chosen);
  return h("p", { class: "summary" },
    `With ${plan.exits.length - 1 === 1 ? "one cache model" : `${plan.exits.length - 1} cache models`}, `,
    h("b", {}, `${percent(early, 0)} of the samples leave early`),
    `. That ${effects(1 - plan.flops_cached / plan.flops_plain, row?.saved.value)}. ${percent(1 - plan.agreement.value)} of the answers come out different from the backbone’s.`);
}

const GOOD = 0;
const TONES = ["good", "plain", "bad"];
const SIGNS = ["+", "•", "−"];
const SPOKEN = ["", "", "Against: "];

const remarks = (title, list) =>
  list.length > 0 &&
  h("div", {}, h("h3", {}, title),
    h("ul", { class: "remarks" }, list.map((remark) =>
      h("li", { class: TONES[remark.tone] }, h("i", { "aria-hidden": "true" }, SIGNS[remark.tone]),
        h("span", {}, h("span", { class: "unseen" }, SPOKEN[remark.tone]), remark.text)))));

export function answer(data, chosen) {
  const plan = data.plans[chosen];
  return {
    id: "answer",
    short: "The answer",
    title: "What caching gains here",
    body: [
      summary(data, plan, chosen),
      h("div", { class: "figures" }, arithmetic(plan), time(data, chosen), accuracy(data, plan)),
      promise(plan),
      data.remarks.length > 0 && [
        h("div", { class: "sides" },
          remarks("What speaks for it", data.remarks.filter((one) => one.tone === GOOD)),
          remarks("What speaks against it, and its limits",
            data.remarks.filter((one) => one.tone !== GOOD).sort((a, b) => b.tone - a.tone))),
      ],
    ],
  };
}
