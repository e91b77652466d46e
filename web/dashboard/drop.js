// A box for an image: the server makes it an input, and the answer shows where it left.
import { h } from "../shared/dom.js";
import { milliseconds, percent } from "../shared/format.js";
import { exitColor } from "../shared/flow.js";
import { ask } from "./server.js";

// exits: names in order of depth, the backbone last.
function answer(message, exits) {
  const at = exits.indexOf(message.exit);
  return [
    h("p", { class: "result" }, h("b", {}, message.class ?? `class ${message.label}`),
      ` with confidence ${percent(message.confidence)}, after ${milliseconds(message.milliseconds)}`),
    h("ul", { class: "way", "aria-label": "The exits on its way" }, exits.slice(0, at + 1).map((name, i) =>
      h("li", { class: i === at ? "here" : "passed", style: `--c: ${exitColor(i, exits.length)}` },
        i === at ? `${name}: left here` : `${name}: passed`))),
  ];
}

export function dropBox(model, exits) {
  const result = h("div", { "aria-live": "polite" },
    h("p", { class: "note" }, "PNG or JPEG. The server transforms it as it does its traffic; nothing is kept."));
  const label = h("label", {});
  const input = h("input", { type: "file", accept: "image/png,image/jpeg", onchange: () => take(input.files[0]) });
  label.append(input, h("span", {}, "Drop an image here, or choose one"));

  async function take(file) {
    if (!file) return;
    const picture = h("img", { alt: "the image that was asked about", src: URL.createObjectURL(file) });
    try {
      const message = await ask(model, await file.arrayBuffer());
      result.replaceChildren(picture, ...answer(message, exits));
    } catch (error) {
      result.replaceChildren(picture, h("p", { class: "badge bad" }, error.message));
    }
    input.value = "";
  }
  label.addEventListener("dragover", (event) => {
    event.preventDefault();
    label.classList.add("over");
  });
  label.addEventListener("dragleave", () => label.classList.remove("over"));
  label.addEventListener("drop", (event) => {
    event.preventDefault();
    label.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  return h("div", { class: "drop" }, label, result);
}
