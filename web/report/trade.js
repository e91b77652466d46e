// RQ4: what each step of accuracy costs, over the whole range of thresholds.
import { h, key, table } from "../shared/dom.js";
import { known, percent, whole } from "../shared/format.js";
import { pointChart } from "../shared/chart.js";
import { planName } from "./names.js";

const COLORS = ["var(--hit)", "var(--lose)", "var(--agree)", "var(--apart)", "var(--truth)"];

export function trade(data) {
  const curves = data.trade.filter((curve) => curve.points.length > 0);
  if (curves.length === 0) return null;
  const labels = data.labelled > 0 && curves.some((curve) => curve.points.some((p) => known(p.accuracy)));
  const quality = labels ? "accuracy" : "agreement";
  const meant = curves[0].plan ?? 0;
  const plain = labels ? data.plans[meant].accuracy_plain.value : 1;
  const values = [plain, ...curves.flatMap((curve) => curve.points.map((p) => p[quality]))].filter(known);
  const low = Math.min(...values);
  const pad = Math.max(0.005, (Math.max(...values) - low) * 0.12);
  const domain = [Math.max(0, low - pad), Math.min(1, Math.max(...values) + pad)];
  const fine = domain[1] - domain[0] < 0.06;

  const chart = (cost, title) => {
    const series = curves.map((curve, i) => ({
      name: curve.method,
      color: COLORS[i % COLORS.length],
      joined: true,
      points: curve.points.filter((p) => known(p[cost]) && known(p[quality]))
        .sort((a, b) => a[cost] - b[cost])
        .map((p) => ({
          x: p[cost],
          y: p[quality],
          r: p.setting === "plan" ? 7 : 3,
          hollow: p.setting === "plan",
          title: `${curve.method}: ${p.setting}`,
          lines: [
            labels && { name: "accuracy", value: percent(p.accuracy) },
            { name: "as the backbone", value: percent(p.agreement) },
            { name: "FLOPs", value: `${percent(p.flops)} of plain` },
            known(p.latency) && { name: "time", value: `${percent(p.latency)} of plain` },
          ].filter(Boolean),
        })),
    })).filter((one) => one.points.length > 0);
    if (series.length === 0) return null;
    const right = Math.max(1, ...series.flatMap((one) => one.points.map((p) => p.x)));
    series.push({ name: "backbone", color: "var(--ink)", joined: false, points: [{ x: 1, y: plain, r: 5, symbol: "diamond", title: "The plain backbone", lines: [{ name: quality, value: percent(plain) }] }] });
    return h("figure", { class: "card" },
      h("figcaption", {}, h("b", {}, title)),
      pointChart({
        label: `${title}: ${quality} against cost over all thresholds.`,
        height: 300,
        x: { domain: [0, right * 1.04], label: `${cost === "flops" ? "arithmetic" : "time"}, share of the plain backbone’s`, format: (v) => percent(v, 0) },
        y: { domain, label: quality, format: (v) => percent(v, fine ? 1 : 0) },
        guides: [[0, plain, right * 1.04, plain]],
        series,
      }));
  };
  const batch = curves.find((curve) => curve.points.some((p) => known(p.latency)))?.batch;
  return {
    id: "trade",
    short: "Accuracy and cost",
    title: "Accuracy against cost",
    tag: "RQ4",
    body: [
      h("p", {}, `${data.plans.length > 1 ? `Of the plan ${planName(data.plans[meant])}. ` : ""}Each point is one setting of the thresholds: bolder ones stand to the left, cheaper and less ${labels ? "accurate" : "true to the backbone"}. Up and left is better. The ring is the plan as deployed, and its neighbours on the curve move all its thresholds up or down together; the diamond is the plain backbone. `,
        `The area counts the best ${quality} within each cost from nothing to the backbone’s own, from 0 to 1; more is better.`),
      curves.length > 1 && key(curves.map((curve, i) => ({ name: curve.method, color: COLORS[i % COLORS.length] }))),
      h("div", { class: "grid" }, chart("flops", "Against arithmetic"), chart("latency", `Against time${batch > 0 ? `, batch of ${whole(batch)}` : ""}`)),
      table([
        { name: "Method", cell: (c) => c.method },
        { name: "Settings", numeric: true, cell: (c) => whole(c.points.length) },
        { name: "Area, arithmetic", numeric: true, cell: (c) => (known(c.area_flops) ? c.area_flops.toFixed(3) : "–") },
        { name: "Area, time", numeric: true, cell: (c) => (known(c.area_latency) ? c.area_latency.toFixed(3) : "–") },
      ], curves, { caption: "Area under each method’s curve" }),
    ],
  };
}
