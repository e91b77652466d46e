// The evaluation report: reads the data beside it and builds the page, once per plan shown.
import { h } from "../shared/dom.js";
import { whole } from "../shared/format.js";
import { answer } from "./answer.js";
import { flow, exitTable } from "./exits.js";
import { alone, reliability } from "./caches.js";
import { verdicts, classes } from "./verdicts.js";
import { costs, memory } from "./costs.js";
import { latency } from "./latency.js";
import { trade } from "./trade.js";
import { certificate } from "./certificate.js";
import { examples } from "./examples.js";
import { provenance, words, software } from "./about.js";
import { planName } from "./names.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const data = read("data");
const notices = read("notices");

// Each gives { id, short, title, body } or null where the report has nothing to show.
const sections = [
  answer, flow, alone, reliability, exitTable, verdicts, classes, costs, memory, latency, trade, certificate,
  examples, provenance, words, () => software(notices),
];

function header() {
  const facts = [
    ["Samples", `${whole(data.samples)} in the test part`],
    ["Labels", data.labelled > 0 ? (data.labelled < data.samples ? `for ${whole(data.labelled)}` : "yes, used on this page only") : "none"],
    ["Classes", whole(data.class_count)],
    ["Device", [data.device, data.processor].filter(Boolean).join(", ")],
    ["Threads", data.threads > 0 ? whole(data.threads) : ""],
    ["Precision", [data.precision, data.cache_precision && data.cache_precision !== data.precision && `caches ${data.cache_precision}`].filter(Boolean).join(", ")],
    ["Made with", data.library],
    ["Written", data.provenance.created?.replace("T", " ").replace("Z", " UTC")],
  ].filter(([, value]) => value);
  return h("header", {},
    h("p", { class: "kicker" }, "cachectl · evaluation report"),
    h("h1", {}, data.title || "Evaluation report"),
    h("p", { class: "lead" },
      "A trained network, the ", h("b", {}, "backbone"), ", spends the same work on every input. ",
      h("b", {}, "Cache models"), " are small classifiers that read its inner layers: where one is confident enough, ",
      "it gives the answer and the sample leaves early. The backbone itself is not changed. This page says what that ",
      "saves and what it costs, measured on samples that played no part in building it."),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
  );
}

function chooser(chosen, choose) {
  if (data.plans.length < 2) return null;
  return h("fieldset", { class: "chooser" },
    h("legend", {}, "Plan shown"),
    data.plans.map((plan, i) =>
      h("label", {},
        h("input", { type: "radio", name: "plan", value: i, checked: i === chosen, onchange: () => choose(i) }),
        h("span", {}, planName(plan)))));
}

function body(chosen) {
  const made = sections.map((section) => section(data, chosen)).filter(Boolean);
  return [
    h("nav", { "aria-label": "Contents" }, h("ol", {}, made.map((one) => h("li", {}, h("a", { href: `#${one.id}` }, one.short))))),
    h("main", {}, made.map((one) =>
      h("section", { id: one.id, "aria-labelledby": `${one.id}-title` },
        h("h2", { id: `${one.id}-title` }, one.title, one.tag && h("small", {}, one.tag)),
        one.body))),
  ];
}

const page = document.getElementById("page");
const content = h("div", { class: "content" }, body(0));
const choose = (i) => {
  const stay = window.scrollY;
  content.replaceChildren(...body(i));
  window.scrollTo(0, stay);
};
page.append(header(), chooser(0, choose) ?? "", content);

// Closed parts are opened on paper, and closed again after.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open]):not(.screen-only)")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
