// Charts: Observable Plot draws axes and marks, this file adds one way of reading
// values off them, by pointer, touch or arrow keys.
import * as Plot from "@observablehq/plot";
import { h, s, responsive } from "./dom.js";

const MARGINS = { marginLeft: 46, marginRight: 16, marginTop: 28, marginBottom: 36 };
const GAP = 8; // below a panel that has another one under it

// An answer to "what is here?": where it is on the drawing, dots to show, lines to say.
// targets: [{ x, y, dots: [{ x, y, color }], title, lines: [{ color, name, value }] }] in
// pixels of the drawing; axis "x", "y" or "xy": which distance counts.
function inspector(drawing, svgs, targets, axis, label) {
  const tip = h("div", { class: "tip", role: "status", hidden: true });
  const marks = s("g", { class: "cursor", "aria-hidden": "true" });
  svgs[0].append(marks);
  let at = -1;

  // The drawing may stand scaled, on paper for one.
  const scale = () => svgs[0].getBoundingClientRect().width / Number(svgs[0].getAttribute("width")) || 1;
  const top = (i) => svgs[i].getBoundingClientRect().top - drawing.getBoundingClientRect().top;

  function hide() {
    at = -1;
    tip.hidden = true;
    for (const svg of svgs) svg.querySelector(".cursor")?.replaceChildren();
  }

  function show(index) {
    at = index;
    const target = targets[index];
    svgs.forEach((svg, i) => {
      let layer = svg.querySelector(".cursor");
      if (!layer) svg.append((layer = s("g", { class: "cursor", "aria-hidden": "true" })));
      const height = Number(svg.getAttribute("height"));
      layer.replaceChildren(
        ...(axis === "x"
          ? [s("line", { x1: target.x, x2: target.x, y1: MARGINS.marginTop, y2: height - (i < svgs.length - 1 ? GAP : MARGINS.marginBottom) })]
          : []),
        ...target.dots
          .filter((dot) => (dot.panel ?? 0) === i)
          .map((dot) => s("circle", { cx: dot.x, cy: dot.y, r: dot.r ?? 4.5, style: `--c: ${dot.color}` })),
      );
    });
    tip.replaceChildren(
      h("strong", {}, target.title),
      ...target.lines.map((line) =>
        h("div", {}, line.color && h("i", { style: `--c: ${line.color}` }), h("span", {}, line.name), h("b", {}, line.value))),
    );
    tip.hidden = false;
    const factor = scale();
    const width = drawing.clientWidth;
    const x = target.x * factor;
    const right = x + 14 + tip.offsetWidth <= width;
    const left = right ? x + 14 : Math.max(0, x - 14 - tip.offsetWidth);
    tip.style.left = `${Math.min(left, Math.max(0, width - tip.offsetWidth))}px`;
    tip.style.top = `${axis === "x" ? top(0) + 6 : Math.max(0, top(0) + target.y * factor - tip.offsetHeight - 12)}px`;
  }

  function nearest(event) {
    const box = svgs[0].getBoundingClientRect();
    const factor = scale();
    const x = (event.clientX - box.left) / factor;
    const y = (event.clientY - box.top) / factor;
    let best = -1;
    let distance = Infinity;
    targets.forEach((target, i) => {
      const dx = axis === "y" ? 0 : target.x - x;
      const dy = axis === "x" ? 0 : target.y - y;
      if (dx * dx + dy * dy < distance) {
        distance = dx * dx + dy * dy;
        best = i;
      }
    });
    return best;
  }

  if (targets.length === 0) return;
  drawing.append(tip);
  drawing.setAttribute("tabindex", "0");
  drawing.setAttribute("role", "group");
  drawing.setAttribute("aria-roledescription", "chart");
  drawing.setAttribute("aria-label", `${label} Arrow keys read the values.`);
  drawing.addEventListener("pointermove", (event) => show(nearest(event)));
  drawing.addEventListener("pointerdown", (event) => show(nearest(event)));
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const stride = Math.max(1, Math.round(targets.length / 40));
    const steps = { ArrowRight: stride, ArrowDown: stride, ArrowLeft: -stride, ArrowUp: -stride };
    if (event.key === "Escape") return hide();
    if (event.key === "Home") show(0);
    else if (event.key === "End") show(targets.length - 1);
    else if (steps[event.key]) show(Math.min(targets.length - 1, Math.max(0, (at < 0 ? 0 : at) + steps[event.key])));
    else return;
    event.preventDefault();
  });
}

const describe = (svg, label) => {
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
};

const axisTicks = (width) => Math.max(3, Math.min(8, Math.floor(width / 70)));

// Lines over one x axis, in one or more panels stood upon each other.
// rows: sorted by x; panels: [{ label, height, domain, format, series: [{ key, name, color,
// dash }], rules: [{ y, label, color }] }]; markers: [{ x, label }]: vertical lines.
export function lineChart({ label, rows, x, panels, markers = [] }) {
  const series = panels.flatMap((panel, i) => panel.series.map((one) => ({ ...one, panel: i, format: panel.format })));
  const xEnd = (value) => value > x.domain[0] + 0.8 * (x.domain[1] - x.domain[0]);
  return responsive(h("div", { class: "chart" }), (width) => {
    const drawing = h("div", { class: "drawing" });
    const plots = panels.map((panel, i) => {
      const last = i === panels.length - 1;
      const plot = Plot.plot({
        ...MARGINS,
        marginBottom: last ? MARGINS.marginBottom : GAP,
        width,
        height: panel.height - (last ? 0 : MARGINS.marginBottom - GAP),
        x: { domain: x.domain, label: last ? x.label : null, tickFormat: x.format, ticks: axisTicks(width), labelArrow: "none", tickSize: 0, axis: last ? "bottom" : null },
        y: { domain: panel.domain, label: panel.label, tickFormat: panel.format, ticks: Math.max(2, Math.round(panel.height / 50)), labelArrow: "none", tickSize: 0, labelOffset: 40 },
        marks: [
          Plot.gridY({ ticks: Math.max(2, Math.round(panel.height / 50)), strokeOpacity: 1, stroke: "var(--grid)" }),
          Plot.ruleX(markers, { x: "x", stroke: "var(--ink)", strokeDasharray: "2,3" }),
          Plot.ruleY(panel.rules ?? [], { y: "y", stroke: (d) => d.color, strokeDasharray: "5,3" }),
          (panel.rules ?? []).map((rule) =>
            Plot.text([rule], { y: "y", text: "label", frameAnchor: "left", dx: 4, dy: -6, textAnchor: "start", fill: rule.color, stroke: "var(--card)", strokeWidth: 4 })),
          i > 0 ? null : markers.map((marker) =>
            Plot.text([marker], { x: "x", text: "label", frameAnchor: "top", textAnchor: xEnd(marker.x) ? "end" : "middle", dx: xEnd(marker.x) ? 6 : 0, dy: -12, fill: "var(--ink)" })),
          panel.series.map((one) =>
            Plot.line(rows, { x: x.key, y: one.key, stroke: one.color, strokeWidth: 2, strokeDasharray: one.dash, clip: true })),
        ],
      });
      drawing.append(describe(plot, label));
      return plot;
    });
    const xs = plots[0].scale("x");
    const ys = plots.map((plot) => plot.scale("y"));
    const targets = rows.map((row) => ({
      x: xs.apply(row[x.key]),
      y: 0,
      title: `${x.name ?? x.label} ${(x.tipFormat ?? x.format)(row[x.key])}`,
      dots: series
        .filter((one) => Number.isFinite(row[one.key]))
        .map((one) => ({ panel: one.panel, x: xs.apply(row[x.key]), y: ys[one.panel].apply(row[one.key]), color: one.color })),
      lines: series.map((one) => ({ color: one.color, name: one.name, value: (one.tipFormat ?? one.format)(row[one.key]) })),
    }));
    inspector(drawing, plots, targets, "x", label);
    return drawing;
  });
}

// Points, joined or not. series: [{ name, color, dash, joined, points: [{ x, y, r, title,
// lines, hollow, symbol }] }]; guides: [[x1, y1, x2, y2]]: straight lines for comparison.
export function pointChart({ label, x, y, series, guides = [], height, square }) {
  return responsive(h("div", { class: "chart" }), (width) => {
    const drawing = h("div", { class: "drawing" });
    const side = square ? Math.min(width, 360) : width;
    const plot = Plot.plot({
      ...MARGINS,
      width: side,
      height: square ? side - 6 : height,
      x: { domain: x.domain, label: x.label, tickFormat: x.format, ticks: axisTicks(side), labelArrow: "none", tickSize: 0 },
      y: { domain: y.domain, label: y.label, tickFormat: y.format, ticks: 5, labelArrow: "none", tickSize: 0 },
      marks: [
        Plot.gridY({ ticks: 5, strokeOpacity: 1, stroke: "var(--grid)" }),
        guides.map(([x1, y1, x2, y2]) => Plot.link([0], { x1: [x1], y1: [y1], x2: [x2], y2: [y2], stroke: "var(--muted)", strokeDasharray: "2,3" })),
        series.filter((one) => one.joined).map((one) =>
          Plot.line(one.points, { x: "x", y: "y", stroke: one.color, strokeWidth: 2, strokeDasharray: one.dash, clip: true })),
        series.map((one) =>
          Plot.dot(one.points, {
            x: "x",
            y: "y",
            r: (d) => d.r ?? 3.5,
            stroke: one.color,
            strokeWidth: 1.6,
            fill: (d) => (d.hollow ? "var(--card)" : one.color),
            symbol: (d) => d.symbol ?? "circle",
          })),
      ],
      r: { type: "identity" },
      symbol: { type: "identity" },
    });
    drawing.append(describe(plot, label));
    const xs = plot.scale("x");
    const ys = plot.scale("y");
    const targets = series.flatMap((one) =>
      one.points.map((point) => ({
        x: xs.apply(point.x),
        y: ys.apply(point.y),
        title: point.title,
        dots: [{ x: xs.apply(point.x), y: ys.apply(point.y), color: one.color, r: (point.r ?? 3.5) + 3 }],
        lines: point.lines,
      })));
    inspector(drawing, [plot], targets, "xy", label);
    return drawing;
  });
}

// Times as bars to the median, a line on to the 99th percentile with a tick at the 90th,
// single measurements as dots. rows: [{ name, color, p50, p90, p99, values, lines }], in
// milliseconds.
export function timeBars({ label, rows }) {
  return responsive(h("div", { class: "chart" }), (width) => {
    const drawing = h("div", { class: "drawing" });
    // A few stalls must not squeeze everything else: far outliers stay out of the frame.
    const limit = 1.08 * Math.max(...rows.map((row) => row.p99));
    const plot = Plot.plot({
      width,
      height: 38 + 34 * rows.length,
      marginLeft: 96,
      marginRight: 14,
      marginTop: 4,
      marginBottom: 34,
      x: { domain: [0, limit], label: "milliseconds", labelArrow: "none", tickSize: 0, ticks: Math.max(3, Math.min(6, Math.floor(width / 90))) },
      y: { domain: rows.map((row) => row.name), label: null, tickSize: 0, padding: 0.35 },
      marks: [
        Plot.gridX({ strokeOpacity: 1, stroke: "var(--grid)" }),
        Plot.barX(rows, { x: "p50", y: "name", fill: (d) => d.color, fillOpacity: 0.85, rx: 2 }),
        Plot.ruleY(rows, { x1: "p50", x2: "p99", y: "name", stroke: "var(--ink)", strokeWidth: 1.2 }),
        Plot.tickX(rows, { x: "p90", y: "name", stroke: "var(--ink)", strokeWidth: 1.2, insetTop: 4, insetBottom: 4 }),
        Plot.tickX(rows, { x: "p99", y: "name", stroke: "var(--ink)", strokeWidth: 1.2, insetTop: 7, insetBottom: 7 }),
        Plot.dot(
          rows.flatMap((row) => (row.values ?? []).filter((v) => v <= limit).map((value) => ({ name: row.name, value }))),
          { x: "value", y: "name", r: 1.5, fill: "var(--ink)", fillOpacity: 0.2, dy: 14 }),
      ],
    });
    drawing.append(describe(plot, label));
    const xs = plot.scale("x");
    const ys = plot.scale("y");
    const targets = rows.map((row) => {
      const x = xs.apply(row.p50);
      const y = ys.apply(row.name) + ys.bandwidth / 2;
      return { x, y, title: row.name, dots: [{ x, y, color: row.color }], lines: row.lines };
    });
    inspector(drawing, [plot], targets, "y", label);
    return drawing;
  });
}
