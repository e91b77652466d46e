// node stream.mjs ADDRESS FRAME: Node's ws client sends the frame and wants an answer per item.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const WebSocket = require("ws");
const [address, frame] = process.argv.slice(2);

const socket = new WebSocket(`${address.replace("http", "ws")}/v2/models/backbone/stream`);
const messages = await new Promise((resolve, reject) => {
  const all = [];
  socket.on("open", () => socket.send(readFileSync(frame)));
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("closed too early")));
  socket.on("message", (data, binary) => {
    assert.equal(binary, false);
    all.push(JSON.parse(data));
    if (all.at(-1).summary) resolve(all);
  });
});
const { summary } = messages.at(-1);
const items = messages.slice(0, -1);
assert.equal(summary.items, items.length);
assert.deepEqual(items.map((one) => one.index).sort((a, b) => a - b), items.map((_, i) => i));
for (const one of items) {
  assert.ok(one.confidence > 0 && one.confidence <= 1.000001);
  assert.ok(one.milliseconds >= summary.first_milliseconds && one.milliseconds <= summary.milliseconds + 1e-3);
}
socket.removeAllListeners("close");
socket.close();
