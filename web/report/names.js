// Names that several sections use.
import { whole } from "../shared/format.js";

export const className = (data, label) =>
  label >= 0 ? (data.class_names[label] ?? `class ${label}`) : "unknown";

export const planName = (plan) => (plan.batch === 1 ? "for single samples" : plan.batch > 1 ? `for batches of ${whole(plan.batch)}` : "for any batch size");

export const isEmpty = (plan) => plan.exits.length < 2;
export const exitName = (exit) => exit.layer || "backbone";

// The row to speak of first: the plan's own batch size, or the usual 32.
export function mainLatency(data, chosen) {
  const rows = data.latency.filter((row) => row.plan === chosen);
  return rows.find((row) => row.batch === data.plans[chosen].batch) ?? rows.find((row) => row.batch === 32) ?? rows[0];
}
