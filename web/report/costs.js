// RQ2: arithmetic, model size and memory.
import { h, table } from "../shared/dom.js";
import { bytes, count, known, percent, whole } from "../shared/format.js";
import { planName } from "./names.js";

const change = (plain, cached) => {
  if (!known(plain) || !known(cached) || plain <= 0) return "–";
  const share = cached / plain - 1;
  return `${share > 0 ? "+" : ""}${percent(share, 1)}`;
};

export function costs(data, chosen) {
  const plan = data.plans[chosen];
  const caches = plan.cache_bytes;
  const rows = [
    { name: "Arithmetic per sample, mean", plain: count(plan.flops_plain) + "FLOPs", cached: count(plan.flops_cached) + "FLOPs", change: change(plan.flops_plain, plan.flops_cached) },
    data.backbone_parameters > 0 && { name: "Parameters", plain: count(data.backbone_parameters), cached: count(data.backbone_parameters + plan.cache_parameters), change: change(data.backbone_parameters, data.backbone_parameters + plan.cache_parameters) },
    data.backbone_bytes > 0 && { name: "Weights", plain: bytes(data.backbone_bytes), cached: bytes(data.backbone_bytes + caches), change: change(data.backbone_bytes, data.backbone_bytes + caches) },
  ].filter(Boolean);
  return {
    id: "costs",
    short: "Arithmetic and size",
    title: "Arithmetic and model size",
    tag: "RQ2",
    body: [
      h("p", {}, "FLOPs count floating-point operations, two per multiply-and-add. Samples that leave early skip the rest of the backbone; every sample pays for the cache models it asks. Cache models are extra weights, so the model grows."),
      table([
        { name: "", cell: (r) => r.name },
        { name: "Plain backbone", numeric: true, cell: (r) => r.plain },
        { name: "With caching", numeric: true, cell: (r) => r.cached },
        { name: "Change", numeric: true, cell: (r) => r.change },
      ], rows, { caption: "Arithmetic and model size, plain and cached" }),
      known(plan.collected_agreement?.value) &&
        h("p", { class: "note" }, `Run at ${data.precision}${data.cache_precision && data.cache_precision !== data.precision ? `, caches at ${data.cache_precision}` : ""}: ${percent(plan.collected_agreement.value)} of the samples get the answer of the backbone at ${data.collected_precision}.`),
    ],
  };
}

export function memory(data) {
  const several = data.plans.length > 1;
  const rows = data.memory.filter((row) => row.plain_bytes >= 0 || row.cached_bytes >= 0);
  if (data.memory.length === 0) return null;
  return {
    id: "memory",
    short: "Memory",
    title: "Memory while inferring",
    tag: "RQ2",
    body: rows.length === 0
      ? h("p", {}, "Memory could not be measured on this device.")
      : [
          h("p", {}, "The most bytes of tensors alive at once while one batch runs, counted at the allocator; inputs and weights apart. Caching adds what its cache models hold for a moment."),
          table([
            { name: "Batch", cell: (r) => whole(r.batch) },
            several && { name: "Plan", cell: (r) => planName(data.plans[r.plan]) },
            { name: "Plain backbone", numeric: true, cell: (r) => bytes(r.plain_bytes) },
            { name: "With caching", numeric: true, cell: (r) => bytes(r.cached_bytes) },
            { name: "Change", numeric: true, cell: (r) => (r.plain_bytes >= 0 && r.cached_bytes >= 0 ? change(r.plain_bytes, r.cached_bytes) : "–") },
          ].filter(Boolean), rows, { caption: "Peak bytes of live tensors per batch size" }),
        ],
  };
}
