// A model's graph, run by ONNX Runtime's WebAssembly; with several threads where the page may have them.
import { Refusal } from "./page.js";
import * as ort from "./runtime/ort.wasm.min.js";

const MOST_THREADS = 4;

// Told once, before the first graph is opened.
export function prepare(binary) {
  const place = (name) => new URL(`runtime/${name}`, import.meta.url).href;
  ort.env.wasm.wasmPaths = { mjs: place("ort-wasm-simd-threaded.js"), wasm: place("ort-wasm-simd-threaded.wasm") };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
}

export function isPrepared() {
  return ort.env.wasm.wasmBinary !== undefined;
}

export class Network {
  static async open(graph) {
    const network = new Network();
    try {
      network.session = await ort.InferenceSession.create(graph);
    } catch (error) {
      throw new Refusal(`The model cannot be run in this browser: ${error.message}`);
    }
    return network;
  }

  async run({ ids, types }) {
    const tensor = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
    return this.session.run({
      input_ids: tensor(ids),
      attention_mask: tensor(ids.map(() => 1)),
      token_type_ids: tensor(types),
    });
  }
}
