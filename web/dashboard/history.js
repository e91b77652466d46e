// Figures per second from counts since the start: the differences between one look and the next.

const KEPT = 300; // looks

// Upper quantile of a histogram, within its bucket by proportion; null of nothing.
export function quantile(bounds, counts, q) {
  const total = counts.reduce((sum, one) => sum + one, 0);
  if (total === 0) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i += 1) {
    if (below + counts[i] >= q * total && counts[i] > 0) {
      const low = i === 0 ? 0 : bounds[i - 1];
      const high = i < bounds.length ? bounds[i] : bounds[bounds.length - 1];
      return low + (high - low) * ((q * total - below) / counts[i]);
    }
    below += counts[i];
  }
  return bounds[bounds.length - 1];
}

const added = (one, other) => one.map((value, i) => value + (other?.[i] ?? 0));
const less = (one, other) => one.map((value, i) => value - (other?.[i] ?? 0));

// Latencies of all exits together.
export const together = (status) =>
  Object.values(status.exits).reduce((sum, exit) => added(exit.latency, sum), new Array(status.latency_bounds.length + 1).fill(0));

export class History {
  rows = []; // { seconds, throughput, p50, p99, queue, exits: { name: items per second } }
  #last = null;

  // True where the server is another one than before.
  add(status) {
    const last = this.#last;
    this.#last = status;
    const anew = last !== null && last.started_ms !== status.started_ms;
    if (anew) this.rows = [];
    if (last === null || anew) return anew;
    const span = (status.now_ms - last.now_ms) / 1000;
    if (!(span > 0)) return false;
    const counts = less(together(status), together(last));
    const items = counts.reduce((sum, one) => sum + one, 0);
    const inMilliseconds = (q) => {
      const value = quantile(status.latency_bounds, counts, q);
      return value === null ? NaN : 1000 * value;
    };
    this.rows.push({
      at: status.now_ms,
      throughput: items / span,
      p50: inMilliseconds(0.5),
      p99: inMilliseconds(0.99),
      queue: status.queue.items,
    });
    this.rows = this.rows.slice(-KEPT);
    return false;
  }

  // With seconds before now, for a chart.
  seen() {
    const now = this.rows.at(-1)?.at ?? 0;
    return this.rows.map((row) => ({ ...row, seconds: (row.at - now) / 1000 }));
  }
}
