// The network of the camera page: it runs in a thread of its own, or in the page where there can be none.
const hasPromises = "Suspending" in (globalThis.WebAssembly ?? {}); // WebAssembly that waits for the GPU

// Browsers without promises in WebAssembly never wait for a GPU, so for them a call is a call.
function withoutPromises() {
  WebAssembly.Suspending ??= function (call) { return call; };
  WebAssembly.promising ??= (call) => async (...given) => call(...given);
}

async function loadRuntime(code, wasm) {
  if (!hasPromises) withoutPromises();
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm.buffer;
  return ort;
}

async function places() {
  const gpu = hasPromises && (await navigator.gpu?.requestAdapter().catch(() => null));
  return gpu && !gpu.info?.isFallbackAdapter ? ["webgpu", "wasm"] : ["wasm"];
}

// The first bytes of all 16-bit numbers come first, then the second ones: so they are packed a tenth smaller.
function interleave(planes) {
  const half = Math.ceil(planes.length / 2), bytes = new Uint8Array(planes.length);
  for (let i = 0; i < half; i++) bytes[2 * i] = planes[i];
  for (let i = half; i < planes.length; i++) bytes[2 * (i - half) + 1] = planes[i];
  return bytes;
}

function pattern(size) {
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0, i = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      for (let c = 0; c < 3; c++, i++) pixels[i] = (3 * (x * (2 * c + 1) + y * (5 - c))) % 256;
  return pixels;
}

class Rater {
  // `settings` has size, expected and tolerance; the others are bytes, as they travel in the page.
  static async load({ settings, runtime, wasm, network }) {
    const rater = new Rater();
    [rater.ort, rater.places] = [await loadRuntime(runtime, wasm), await places()];
    [rater.settings, rater.model] = [settings, interleave(network)];
    await rater.settle();
    return rater;
  }

  // Take the first place that scores a known picture as Python did.
  async settle() {
    const { size, expected, tolerance } = this.settings;
    let score = NaN;
    while (this.places.length) {
      this.place = this.places.shift();
      try {
        const options = { executionProviders: [this.place], graphOptimizationLevel: "all" };
        this.session = await this.ort.InferenceSession.create(this.model, options);
        score = await this.look(pattern(size));
        if (Math.abs(score - expected) <= tolerance) return;
      } catch (error) {
        if (!this.places.length) throw error;
      }
    }
    const [is, should] = [score, expected].map((value) => (100 * value).toFixed(1));
    throw new Error(`This browser scores a known picture ${is} where Python said ${should}: no score is shown.`);
  }

  async look(pixels) {
    const { size } = this.settings, photos = new this.ort.Tensor("uint8", pixels, [1, size, size, 3]);
    const found = await this.session.run({ photos }, ["score"]);
    const score = found.score.data[0];
    found.score.dispose();
    return score;
  }

  // A GPU may be lost at any time, when a phone sleeps for example; the processor stays.
  async rate(pixels) {
    try {
      return await this.look(pixels);
    } catch (error) {
      if (!this.places.length) throw error;
      await this.settle();
      return this.look(pixels);
    }
  }
}

// Answer the page's calls one by one, in order.
function serve() {
  let rater = null, last = Promise.resolve();
  const calls = {
    load: async (given) => (rater = await Rater.load(given)).place,
    rate: (pixels) => rater.rate(pixels),
  };
  globalThis.onmessage = ({ data: { call, given } }) => {
    last = last.then(() => calls[call](given)).then(
      (value) => postMessage({ value }), (error) => postMessage({ error: error.message }));
  };
  postMessage({}); // here it is
}

if (typeof document === "undefined") serve();
else globalThis.Rater = Rater; // no export: a page from disk may start no thread from a module
