// The server's page: asks for its status every second and draws what changed.
import { h, key, table } from "../shared/dom.js";
import { count, milliseconds, percent, setting, whole } from "../shared/format.js";
import { drawPlan, exitColor } from "../shared/flow.js";
import { lineChart } from "../shared/chart.js";
import { dropBox } from "./drop.js";
import { History, quantile, together } from "./history.js";
import { NeedsToken, status as askStatus, useToken } from "./server.js";

const EVERY = 1000; // milliseconds between looks
const WINDOW = 120; // seconds that charts show

const page = document.getElementById("page");
const notices = JSON.parse(document.getElementById("notices").textContent);
const history = new History();
const part = (id, title, ...body) => h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), ...body);
const slots = Object.fromEntries(["message", "header", "figures", "flow", "exits", "charts", "image"].map((id) => [id, h("div", {})]));
let shown = ""; // the plan that the still parts were drawn for
let shownCounts = ""; // what the drawings were made of

// Of several plans, the one whose batch size the batches come nearest to.
function planInUse(status) {
  const items = Object.values(status.exits).reduce((sum, exit) => sum + exit.items, 0);
  const size = status.batches > 0 ? items / status.batches : 1;
  const away = (plan) => Math.abs(Math.log(size / Math.max(1, plan.batch)));
  return status.plans.reduce((best, plan) => (away(plan) < away(best) ? plan : best));
}

function header(status, plan) {
  const facts = [
    ["Plan", status.plan.hash],
    ["Made", status.plan.created?.replace("T", " ").replace("Z", " UTC")],
    ["Backbone", status.model.backbone],
    ["Tolerance", setting(status.plan.tolerance)],
    ["Input", status.model.input.join("×")],
    ["Classes", whole(status.model.classes)],
    ["Predicted saving", plan.predicted_saving > 0 ? percent(plan.predicted_saving) : ""],
    ["Version", status.version],
  ].filter(([, value]) => value);
  const one = plan.certificate;
  return h("header", {},
    h("p", { class: "kicker" }, "cachectl-serve"),
    h("h1", {}, status.model.name),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    one && h("p", { class: `badge ${one.holds ? "good" : "bad"}` },
      one.holds
        ? `Certified: with ${setting(1 - one.delta)} confidence at most ${setting(one.epsilon)} of the answers differ from the backbone’s, on traffic like the ${whole(one.samples)} samples it was tested on.`
        : `Not certified: the test on ${whole(one.samples)} samples does not show that at most ${setting(one.epsilon)} of the answers differ from the backbone’s.`));
}

const figure = (title, value, note) => h("div", { class: "figure" }, h("h3", {}, title), h("p", {}, value, h("small", {}, note)));

function figures(status, exits) {
  const counts = together(status);
  const items = exits.reduce((sum, exit) => sum + exit.items, 0);
  const early = items - exits.at(-1).items;
  const latency = (q) => {
    const value = quantile(status.latency_bounds, counts, q);
    return milliseconds(value === null ? null : 1000 * value);
  };
  const last = history.rows.at(-1);
  return h("div", { class: "figures" },
    figure("Answered early", items > 0 ? percent(early / items) : "–", `${count(early)} of ${count(items)} items`),
    figure("FLOPs saved", status.plain_flops > 0 ? percent(1 - status.flops / status.plain_flops) : "–", "against the backbone alone"),
    figure("Throughput", last ? `${count(Math.round(last.throughput))}/s` : "–", "items, in the last second"),
    figure("Latency", latency(0.5), `median; 99 % within ${latency(0.99)}`),
    figure("Queue", whole(status.queue.items), `of ${whole(status.queue.capacity)} items`),
    figure("Batch", status.batches > 0 ? (items / status.batches).toFixed(1) : "–", `items on average, ${count(status.batches)} batches`));
}

function exitTable(status, exits) {
  const items = exits.reduce((sum, exit) => sum + exit.items, 0);
  const latency = (exit, q) => {
    const value = exit.latency && quantile(status.latency_bounds, exit.latency, q);
    return milliseconds(value === null || value === undefined ? null : 1000 * value);
  };
  return table([
    { name: "Exit", cell: (exit) => [h("i", { class: "swatch", style: `--c: ${exit.color}` }), exit.name] },
    { name: "Threshold", numeric: true, cell: (exit) => (exit.threshold === undefined ? "–" : exit.threshold.toFixed(3)) },
    { name: "Items", numeric: true, cell: (exit) => whole(exit.items) },
    { name: "Share", numeric: true, cell: (exit) => (items > 0 ? percent(exit.items / items) : "–") },
    { name: "Median", numeric: true, cell: (exit) => latency(exit, 0.5) },
    { name: "p90", numeric: true, cell: (exit) => latency(exit, 0.9) },
    { name: "p99", numeric: true, cell: (exit) => latency(exit, 0.99) },
  ], exits, { caption: "Exits since the start" });
}

const niceTop = (value) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return power * [1, 2, 5, 10].find((step) => step * power >= value * 1.05);
};

// least: what the axis reaches up to at least.
function chart(title, note, rows, series, format, least = 1e-3) {
  const values = rows.flatMap((row) => series.map((one) => row[one.key])).filter(Number.isFinite);
  return h("figure", { class: "card" },
    h("figcaption", {}, title, h("span", { class: "quiet" }, note), series.length > 1 && key(series)),
    lineChart({
      label: `${title} over the last two minutes.`,
      rows,
      x: { key: "seconds", domain: [-WINDOW, 0], label: "seconds ago", name: "", format: (s) => String(Math.round(-s)), tipFormat: (s) => `${Math.round(-s)} s ago` },
      panels: [{ label: null, height: 180, domain: [0, niceTop(Math.max(...values, least))], format, series }],
    }));
}

function charts() {
  const rows = history.seen().filter((row) => row.seconds >= -WINDOW);
  return h("div", { class: "grid" },
    chart("Throughput", "items per second", rows, [{ key: "throughput", name: "Items", color: "var(--hit)" }], (v) => count(Math.round(v * 10) / 10)),
    chart("Latency", "milliseconds", rows, [
      { key: "p50", name: "Median", color: "var(--agree)" },
      { key: "p99", name: "99th percentile", color: "var(--lose)" },
    ], (v) => (Number.isFinite(v) ? milliseconds(v) : "–")),
    chart("Queue", "items that wait", rows, [{ key: "queue", name: "Items", color: "var(--truth)" }], whole, 4));
}

// The exits of the plan in use with what is counted, and those that others have or had.
function exitsOf(status, plan) {
  const depth = (name) => status.layers.find((layer) => layer.name === name)?.depth ?? 0;
  const others = Object.keys(status.exits)
    .filter((name) => name !== "backbone" && !plan.exits.some((exit) => exit.name === name))
    .map((name) => ({ name, depth: depth(name) }));
  const early = [...plan.exits, ...others].sort((a, b) => a.depth - b.depth);
  const known = [...early, { name: "backbone", depth: 1 }];
  return known.map((exit, i) => ({
    ...exit,
    color: exitColor(i, known.length),
    items: status.exits[exit.name]?.items ?? 0,
    latency: status.exits[exit.name]?.latency,
  }));
}

function drawFlow(status, exits) {
  const items = exits.reduce((sum, exit) => sum + exit.items, 0);
  return drawPlan({
    label: "The backbone with its exits, and the share of the items that left at each.",
    layers: status.layers,
    exits: exits.map((exit) => ({
      name: exit.name,
      depth: exit.depth,
      share: items > 0 ? exit.items / items : 0,
      lines: [`${count(exit.items)} items`],
      detail: exit.architecture ? [exit.architecture] : [],
    })),
  });
}

// Puts new content in place of the old without a jump: drawings come a moment later.
function swap(slot, ...content) {
  slot.style.minHeight = `${slot.offsetHeight}px`;
  slot.replaceChildren(...content);
  setTimeout(() => { slot.style.minHeight = ""; }, 100);
}

function draw(status) {
  const plan = planInUse(status);
  const exits = exitsOf(status, plan);
  // What can be used stays where it is while nothing of it changes.
  const still = JSON.stringify([status.plan, status.model, plan, exits.map((exit) => exit.name)]);
  if (still !== shown) {
    shown = still;
    slots.header.replaceChildren(header(status, plan));
    slots.image.replaceChildren(...(status.model.takes_images
      ? [part("image", "Ask about an image", dropBox(status.model.name, exits.map((exit) => exit.name)))]
      : []));
  }
  swap(slots.figures, part("figures", "Since the start", figures(status, exits)));
  const counted = JSON.stringify([plan, status.exits]);
  if (counted !== shownCounts) {
    shownCounts = counted;
    swap(slots.flow, part("flow", "Where items leave", drawFlow(status, exits)));
    swap(slots.exits, part("exits", "Exits", exitTable(status, exits)));
  }
  // A chart that someone reads is not taken from under the pointer.
  if (!slots.charts.querySelector(".drawing:hover, .drawing:focus")) {
    swap(slots.charts, part("charts", "The last two minutes", charts()));
  }
  slots.message.replaceChildren(...(status.draining ? [h("p", { class: "badge bad" }, "The server is ending.")] : []));
}

function askForToken() {
  const input = h("input", { type: "password", autocomplete: "off", "aria-label": "Token" });
  slots.message.replaceChildren(h("form", {
    class: "token",
    onsubmit: (event) => {
      event.preventDefault();
      useToken(input.value.trim());
      look();
    },
  }, h("p", {}, "This server asks for a token."), input, h("button", {}, "Use it")));
  input.focus();
}

async function look() {
  try {
    const status = await askStatus();
    history.add(status);
    draw(status);
  } catch (error) {
    if (error instanceof NeedsToken) return askForToken();
    slots.message.replaceChildren(h("p", { class: "badge bad" }, `No answer from the server: ${error.message}`));
  }
  setTimeout(look, EVERY);
}

page.append(slots.message, slots.header, h("main", {}, ["figures", "flow", "image", "exits", "charts"].map((id) => slots[id])),
  h("details", { class: "software" }, h("summary", {}, "Software in this page"),
    notices.map((one) => h("details", {}, h("summary", {}, `${one.name} ${one.version}, ${one.licence}`), h("pre", {}, one.text)))));
look();
