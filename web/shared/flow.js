// The plan along the backbone: a stream of samples runs with the depth of the network, and
// at each exit the part that is answered there branches off. Shared by every page that
// draws a plan.
import { h, s, responsive } from "./dom.js";
import { percent } from "./format.js";

// Early exits green, late ones violet, the backbone grey; the theme sets the lightness.
export function exitColor(index, count) {
  if (index >= count - 1) return "var(--plain)";
  const along = count <= 2 ? 0 : index / (count - 2);
  return `hsl(${Math.round(165 + 100 * along)} 58% var(--exit-light))`;
}

// Centres as near to the wished ones as a least distance allows, within [low, high].
export function spread(wished, gap, low, high) {
  const at = [...wished];
  for (let i = 0; i < at.length; i += 1) at[i] = Math.max(at[i], i === 0 ? low : at[i - 1] + gap);
  for (let i = at.length - 1; i >= 0; i -= 1) at[i] = Math.min(at[i], i === at.length - 1 ? high : at[i + 1] - gap);
  return at;
}

// exits: [{ name, depth, share, lines: [text], detail: [text] }], depth and share in [0, 1],
// the last one being the backbone; layers: [{ name, depth }], every place where an exit
// could stand.
export function drawPlan({ exits, layers, label }) {
  return responsive(h("div", { class: "flow" }), (width) => {
    const upright = width < Math.max(560, CARD * exits.length + 20);
    return flow({ exits, layers, label, width: upright ? Math.min(width, 560) : width, upright });
  });
}

// The least room that the words on an exit need beside each other.
const CARD = 118;

function flow({ exits, layers, label, width, upright }) {
  const n = exits.length;
  const thick = upright ? Math.max(64, width * 0.22) : 96;
  const cardGap = upright ? 92 : Math.min(138, (width - 12) / n);
  const length = upright ? Math.max(340, cardGap * n + 30) : width;
  const start = upright ? 26 : 14;
  const end = upright ? length - 84 : width - 150;
  const track = upright ? 12 : 30; // where the backbone's line stands
  const stream = upright ? 34 : 58; // the stream's edge along it
  const cardsAt = upright ? Math.min(width - 150, stream + thick + 0.2 * width) : stream + thick + 92;
  const height = upright ? length : cardsAt + 96;
  // Along (u) and across (v) the way of the samples -> x, y.
  const at = (u, v) => (upright ? [v, u] : [u, v]);
  const pair = (u, v) => at(u, v).map((value) => value.toFixed(1)).join(" ");
  const u = (depth) => start + depth * (end - start);

  const half = upright ? 40 : cardGap / 2 - 6;
  const cards = spread(
    exits.map((exit) => u(exit.depth) + (upright ? 24 : 74)),
    cardGap,
    half + 4,
    (upright ? length : width) - half - 4,
  );

  const svg = s("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label,
    class: "plan",
  });

  // The backbone: a line with a mark per candidate layer.
  const [x1, y1] = at(u(0), track);
  const [x2, y2] = at(u(1), track);
  svg.append(s("line", { x1, y1, x2, y2, class: "backbone" }));
  for (const layer of layers) {
    const [cx, cy] = at(u(layer.depth), track);
    svg.append(s("circle", { cx, cy, r: 3, class: "candidate" }, s("title", {}, layer.name)));
  }

  let before = 0;
  const bands = [];
  exits.forEach((exit, i) => {
    const width_ = Math.max(exit.share > 0 ? 1.2 : 0, exit.share * thick);
    // Those that leave first run on the side of the cards, so no two branches cross.
    const v = stream + thick - (before + exit.share / 2) * thick;
    before += exit.share;
    const color = exitColor(i, n);
    const bend = Math.max(24, Math.min((cardsAt - v) * 0.55, upright ? 64 : Infinity));
    const path =
      `M${pair(u(0), v)} L${pair(u(exit.depth), v)} ` +
      `C${pair(u(exit.depth) + bend, v)} ${pair(cards[i], v + (cardsAt - v) * 0.35)} ${pair(cards[i], cardsAt)}`;
    bands.push(
      s("path", { d: path, class: "band", style: `--c: ${color}; stroke-width: ${width_.toFixed(2)}px` },
        s("title", {}, [`${exit.name}: ${percent(exit.share)} of the samples`, ...(exit.detail ?? [])].join("\n"))),
    );
    const [ex, ey] = at(u(exit.depth), track);
    const [tx, ty] = at(u(exit.depth), stream - 3);
    bands.push(s("line", { x1: ex, y1: ey, x2: tx, y2: ty, class: "drop", style: `--c: ${color}` }));
    bands.push(s("circle", { cx: ex, cy: ey, r: 6, class: "exit", style: `--c: ${color}` }));
  });
  svg.append(...bands.reverse());

  exits.forEach((exit, i) => {
    const color = exitColor(i, n);
    const [x, y] = at(cards[i], cardsAt);
    const anchor = upright ? "start" : "middle";
    const tx = upright ? x + 12 : x;
    const ty = upright ? y - 22 : y + 18;
    svg.append(
      s("line", {
        x1: upright ? x + 3 : x - 40,
        x2: upright ? x + 3 : x + 40,
        y1: upright ? y - 34 : y + 2,
        y2: upright ? y + 34 : y + 2,
        class: "edge",
        style: `--c: ${color}`,
      }),
      s("text", { x: tx, y: ty, "text-anchor": anchor, class: "name" }, exit.name),
      s("text", { x: tx, y: ty + 24, "text-anchor": anchor, class: "share" }, percent(exit.share)),
      ...(exit.lines ?? []).map((line, k) =>
        s("text", { x: tx, y: ty + 42 + 15 * k, "text-anchor": anchor, class: "note" }, line)),
    );
  });

  if (upright) {
    svg.append(s("text", { x: 2, y: 12, class: "note" }, "all samples enter"));
  } else {
    svg.append(s("text", { x: start - 4, y: 14, class: "note" }, "all samples enter"));
    svg.append(s("text", { x: end, y: 14, "text-anchor": "end", class: "note" }, "the backbone’s end"));
  }
  return svg;
}
