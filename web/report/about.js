// Where the figures come from, what the words mean, whose software is in the page.
import { h } from "../shared/dom.js";

// One file of the chain, with what it was made from inside it. An input that several
// files share is told in full where it stands first.
function node(role, made, told) {
  const hash = made.content_hash ?? "";
  const again = hash !== "" && told.has(hash);
  told.add(hash);
  const inputs = Object.entries(made.inputs ?? {});
  const facts = [
    ["Hash", hash && h("code", {}, hash)],
    ["Command", made.command && h("code", {}, made.command)],
    ["Made by", made.producer],
    ["Written", made.created],
    ["Seed", inputs.length > 0 ? String(made.seed) : ""],
    // What comes from outside has no options, but a description in their place.
    [made.command || inputs.length > 0 ? "Options" : "What", made.config && h("pre", {}, made.config.trim())],
  ].filter(([, value]) => value);
  const line = [h("b", {}, made.kind || role), role !== made.kind && h("span", {}, role), hash && h("code", {}, hash.slice(0, 12))];
  const text = made.command || (inputs.length === 0 && made.config?.split("\n")[0]);
  const command = text && h("span", { class: "command" }, text);
  if (again) return h("li", {}, h("div", { class: "node again" }, line, h("em", {}, "as above")));
  return h("li", {},
    h("details", { class: "node" }, h("summary", {}, line, command), h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    inputs.length > 0 && h("ul", {}, inputs.map(([name, input]) => node(name, input, told))));
}

export function provenance(data) {
  if (!data.provenance.kind) return null;
  return {
    id: "provenance",
    short: "How it was made",
    title: "How this was made",
    body: [
      h("p", {}, "Every file records the command, options and seed that made it, and the hash of each file it was made from: here back to the backbone and the data. Open a line for the details."),
      h("ul", { class: "chain" }, node("report", data.provenance, new Set())),
    ],
  };
}

const WORDS = [
  ["Backbone", "The trained network whose answers are to be had sooner. It is never changed."],
  ["Cache model", "A small classifier that reads one inner layer and predicts the backbone’s answer."],
  ["Hit and miss", "A cache model confident enough answers: a hit, and the sample leaves. Otherwise it is a miss, and the sample goes on."],
  ["Exit", "A place where samples leave: a layer with a cache model, or the end of the backbone."],
  ["Threshold", "The confidence from which on a cache model’s answer is taken."],
  ["Plan", "Which exits are used, and with which thresholds."],
  ["Tolerance", "The share of answers that may change, as asked for when the thresholds were chosen."],
  ["Certificate", "A statistical promise on the share of changed answers, made from data that nothing else had seen."],
  ["Agreement", "Share of the answers that are the backbone’s own, whether right or wrong."],
  ["Accuracy", "Share of the answers that are the true label. Known only where there are labels, and used only on this page."],
  ["95 % interval", "Where the true value lies, as far as this many samples can tell: the method is wrong one time in twenty."],
  ["RQ1 to RQ4", "The four questions of the research this method comes from: how good cache models are, what they take in arithmetic and memory, what they save in time, and how accuracy trades against cost."],
  ["Points", "Percentage points: from 90 % to 88 % is a loss of two points."],
];

export function words() {
  return {
    id: "words",
    short: "Words",
    title: "Words",
    body: h("dl", { class: "words" }, WORDS.map(([word, meaning]) => h("div", {}, h("dt", {}, word), h("dd", {}, meaning)))),
  };
}

export function software(notices) {
  const texts = new Map();
  for (const one of notices) {
    if (!texts.has(one.text)) texts.set(one.text, []);
    texts.get(one.text).push(`${one.name} ${one.version}`);
  }
  const plot = notices.find((one) => one.name === "@observablehq/plot");
  return {
    id: "software",
    short: "Software",
    title: "Software in this page",
    body: [
      plot && h("p", {}, `Charts are drawn by Observable Plot ${plot.version} (${plot.licence} licence) and the D3 modules it is built on. Nothing is loaded from the network.`),
      h("details", { class: "screen-only" }, h("summary", {}, "Licences"),
        [...texts].map(([text, names]) => [h("h3", {}, names.join(", ")), h("pre", {}, text)])),
    ],
  };
}
