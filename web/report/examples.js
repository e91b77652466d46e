// Samples as pictures: what leaves early, what needs the whole backbone.
import { h } from "../shared/dom.js";
import { percent } from "../shared/format.js";
import { exitColor } from "../shared/flow.js";
import { className, exitName } from "./names.js";

function picture(data, example) {
  const name = className(data, example.label);
  const remarks = [];
  if (example.truth >= 0 && example.truth !== example.label) remarks.push(`is ${className(data, example.truth)}`);
  if (example.backbone !== example.label) remarks.push(`backbone: ${className(data, example.backbone)}`);
  const wrong = example.truth >= 0 ? example.truth !== example.label : example.backbone !== example.label;
  return h("figure", { class: wrong ? "sample wrong" : "sample" },
    h("img", { src: example.image, alt: `Sample ${example.id}, answered ${name}` }),
    h("figcaption", {}, h("b", {}, name), ` ${percent(example.confidence, 0)}`, remarks.length > 0 && h("small", {}, remarks.join("; "))));
}

export function examples(data) {
  const shown = data.examples.filter((example) => example.image);
  if (shown.length === 0) return null;
  const exits = data.plans[0].exits;
  const groups = exits.map((exit, i) => ({ exit, i, list: shown.filter((example) => example.exit === i) })).filter((group) => group.list.length > 0);
  return {
    id: "examples",
    short: "Samples",
    title: "Samples that leave early and late",
    body: [
      h("p", {}, "Under each picture: the answer and its confidence", data.labelled > 0 ? ", and what it is where the answer is wrong." : ".",
        data.plans.length > 1 && " The exits are those of the first plan."),
      groups.map(({ exit, i, list }) => [
        h("h3", {}, h("i", { class: "swatch", style: `--c: ${exitColor(i, exits.length)}` }),
          i === exits.length - 1 ? "Went through the whole backbone" : `Left at ${exitName(exit)}`),
        h("div", { class: "samples" }, list.map((example) => picture(data, example))),
      ]),
    ],
  };
}
