// Elements from values. Text only ever goes in as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child);
  }
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Calls draw(width) now and whenever the element's width changes, and puts what it
// returns into the element.
export function responsive(element, draw) {
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (width < 50 || width === drawn) return;
    drawn = width;
    element.replaceChildren(...[draw(width)].flat());
  }).observe(element);
  return element;
}

// columns: [{ name, numeric, cell(row) }]; wide tables scroll inside their own frame.
export function table(columns, rows, { caption, rowClass } = {}) {
  const head = columns.some((c) => c.name) && h("thead", {}, h("tr", {},
    columns.map((c) => h("th", { scope: "col", class: c.numeric && "number" }, c.name))));
  const body = rows.map((row) =>
    h("tr", { class: rowClass?.(row) }, columns.map((c, i) =>
      i === 0 ? h("th", { scope: "row", class: c.numeric && "number" }, c.cell(row))
              : h("td", { class: c.numeric && "number" }, c.cell(row)))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), head, h("tbody", {}, body)));
}

export const key = (entries) =>
  h("ul", { class: "key" }, entries.map(({ color, name, dashed, shape }) =>
    h("li", {}, h("i", { class: shape ?? (dashed ? "dashed" : "line"), style: `--c: ${color}` }), name)));
