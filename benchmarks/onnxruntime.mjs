// Milliseconds per batch of an ONNX model in ONNX Runtime, as JSON.
//   node onnxruntime.mjs FILE SHAPE BATCH,... THREADS SECONDS_PER_SIZE
// The package onnxruntime-node is looked for in the folder ONNXRUNTIME_NODE.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
const require = createRequire(resolve(process.env.ONNXRUNTIME_NODE) + '/');
const ort = require('onnxruntime-node');
const [file, shape, batches, threads, seconds] = process.argv.slice(2);
const sizes = shape.split('x').map(Number);
const session = await ort.InferenceSession.create(file, {
  intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: 'all'});
const result = [];
for (const batch of batches.split(',').map(Number)) {
  const count = batch * sizes.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({length: count}, () => Math.random() * 4 - 2);
  const input = new ort.Tensor('float32', data, [batch, ...sizes]);
  const run = () => session.run({[session.inputNames[0]]: input});
  for (let i = 0; i < 5; ++i) await run();
  const times = [], start = process.hrtime.bigint();
  while (times.length < 7 ||
         (Number(process.hrtime.bigint() - start) < Number(seconds) * 1e9 && times.length < 2000)) {
    const begin = process.hrtime.bigint();
    await run();
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  const mean = times.reduce((a, b) => a + b, 0) / times.length;
  times.sort((a, b) => a - b);
  result.push({batch, mean, ms: times[times.length >> 1], p10: times[Math.floor(times.length / 10)]});
}
console.log(JSON.stringify(result));
