// What was promised before this data was seen, and what it showed.
import { h, table } from "../shared/dom.js";
import { interval, setting, whole } from "../shared/format.js";
import { promise } from "./answer.js";
import { isEmpty } from "./names.js";

// The promise and the outcome on one line of risk.
function line(outcome) {
  const limit = 1.25 * Math.max(outcome.epsilon, outcome.risk.high, 1e-6);
  const at = (value) => `${(100 * Math.min(1, value / limit)).toFixed(2)}%`;
  return h("figure", { class: "risk", role: "img", "aria-label": `Promise: at most ${setting(outcome.epsilon)}. Outcome: ${interval(outcome.risk)}.` },
    h("div", { class: "scale", "aria-hidden": "true" },
      h("i", { class: "allowed", style: `width: ${at(outcome.epsilon)}` }),
      h("i", { class: "range", style: `left: ${at(outcome.risk.low)}; width: ${(100 * (outcome.risk.high - outcome.risk.low) / limit).toFixed(2)}%` }),
      h("i", { class: "value", style: `left: ${at(outcome.risk.value)}` }),
      h("i", { class: "limit", style: `left: ${at(outcome.epsilon)}` })),
    h("div", { class: "scale-labels", "aria-hidden": "true" }, h("span", { style: "left: 0" }, "0"), h("span", { class: "end", style: `left: ${at(outcome.epsilon)}` }, `promised: ${setting(outcome.epsilon)}`)));
}

export function certificate(data, chosen) {
  const plan = data.plans[chosen];
  const outcome = plan.certificate;
  if (!outcome) return null;
  const rows = [
    ["Bound on the changed answers (ε)", setting(outcome.epsilon)],
    ["Chance that the bound fails (δ)", setting(outcome.delta)],
    ["Certifying samples, of them changed", `${whole(outcome.certify_samples)}, ${whole(outcome.certify_differing)}`],
    ["p-value", outcome.p_value.toPrecision(3)],
    ["Method", outcome.bound],
    outcome.list_size > 0 && ["Plans in the list, tested, certified", `${whole(outcome.list_size)}, ${whole(outcome.list_tested)}, ${whole(outcome.list_certified)}`],
    ["Tested at", outcome.storage ? `${outcome.tested_at}, on activations kept as ${outcome.storage}` : outcome.tested_at],
    ["Test samples, of them changed", `${whole(outcome.samples)}, ${whole(outcome.differing)}`],
    ["Changed on the test part (95 %)", interval(outcome.risk)],
  ].filter(Boolean);
  const verdict = isEmpty(plan)
    ? "The plan is the plain backbone, so that no answer changes."
    : !outcome.holds
    ? "The plan was not certified; the test part is shown for comparison."
    : outcome.consistent
      ? outcome.risk.value <= outcome.epsilon
        ? "The test part keeps the promise."
        : "The test part lies above the bound, but no further than chance allows."
      : "The test part breaks the promise: its traffic is not like the certifying data, or this is one of the rare failures that δ allows.";
  return {
    id: "certificate",
    short: "Promise and outcome",
    title: "The promise and the outcome",
    body: [
      promise(plan),
      h("p", {}, "The plan was fixed first, then tested on samples set apart for nothing else; a binomial test gives the bound. An answer that changes is not always a loss, so accuracy drops by no more than this. ", h("b", {}, verdict)),
      line(outcome),
      h("p", { class: "note" }, "Shaded: what the promise allows. Bar: 95 % interval of the share of changed answers on the test part; dot: the share itself."),
      table([{ name: "", cell: (r) => r[0] }, { name: "", numeric: true, cell: (r) => r[1] }], rows, { caption: "Certificate and outcome" }),
      h("p", { class: "note" }, "The certificate speaks of traffic exchangeable with the certifying data. Adjacent frames of a video, or traffic that has drifted, lie outside it."),
    ],
  };
}
