// The camera page: takes the network out of the page itself, rates what the camera sees, and asks nobody else.
const byId = (id) => document.getElementById(id);
const settings = JSON.parse(byId("settings").textContent);
const { size, smallest } = settings;
const BITS = 22; // of the fractions that Pillow weighs pixels with

// ---- what is packed into the page ----

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

async function unpack(id) {
  const element = byId(id), bytes = fromBase64(element.textContent.trim());
  element.textContent = ""; // megabytes that nobody needs any more
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// ---- the network, in a thread of its own where there is one: the page stays quick, and looks ahead ----

class Elsewhere {
  apart = true;
  waiting = []; // answers come in the order of calls

  constructor(worker) {
    this.worker = worker;
    worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.shift();
      if ("error" in data) reject(new Error(data.error)); else resolve(data.value);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const error = new Error(event.message || "its thread cannot run");
      for (const { reject } of this.waiting.splice(0)) reject(error);
      this.ask = () => Promise.reject(error); // nobody would answer
    };
  }

  // Resolves with the network's thread as soon as it speaks, and with null where it cannot.
  static async open(address) {
    try {
      const there = new Elsewhere(new Worker(address));
      await there.answer();
      return there;
    } catch {
      return null;
    }
  }

  answer() {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  ask(call, given, handed = []) {
    this.worker.postMessage({ call, given }, handed);
    return this.answer();
  }

  rate(pixels) {
    return this.ask("rate", pixels, [pixels.buffer]);
  }
}

async function loadRater() {
  if (!globalThis.WebAssembly || !globalThis.DecompressionStream) {
    throw new Error("This browser is too old for this page: it needs one of 2023 or later.");
  }
  const code = new Blob([byId("rater").textContent], { type: "text/javascript" }), address = URL.createObjectURL(code);
  const opening = Elsewhere.open(address), given = { settings };
  for (const part of ["runtime", "wasm", "network"]) given[part] = await unpack(part);
  const there = await opening;
  if (!there) {
    await import(address);
    return Rater.load(given);
  }
  const handed = [given.runtime, given.wasm, given.network].map((bytes) => bytes.buffer);
  there.place = await there.ask("load", given, handed);
  return there;
}

// ---- pixels, squished as Pillow does it, to the last bit: a canvas would give other scores ----
// Pillow 13 takes the two passes of tall photos in the other order, which rounds some pixels by one level of 256.

const known = new Map();

// For each pixel of a squished side: where it begins, and the weights of the pixels that it is made of.
function weights(length) {
  if (known.has(length)) return known.get(length);
  const scale = length / size, reach = Math.max(scale, 1), room = Math.ceil(reach) * 2 + 1;
  const made = { first: new Int32Array(size), count: new Int32Array(size), of: new Int32Array(size * room), room };
  for (let i = 0; i < size; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(length, Math.trunc(centre + reach + 0.5)), row = [];
    for (let j = first; j < end; j++) row.push(Math.max(0, 1 - Math.abs((j - centre + 0.5) / reach)));
    const sum = row.reduce((a, b) => a + b, 0);
    row.forEach((weight, j) => { made.of[i * room + j] = Math.trunc(0.5 + (weight / sum) * 2 ** BITS); });
    made.first[i] = first;
    made.count[i] = row.length;
  }
  if (known.size > 200) known.clear();
  known.set(length, made);
  return made;
}

let between = new Uint8Array(0);

// Squish a box of an image (RGBA, as of a canvas) to size x size pixels of RGB.
function squish({ data, width }, [left, top, right, bottom]) {
  const across = weights(right - left), down = weights(bottom - top), rows = bottom - top, half = 1 << (BITS - 1);
  if (between.length < rows * size * 3) between = new Uint8Array(rows * size * 3);
  for (let y = 0, to = 0; y < rows; y++) {
    const start = (top + y) * width + left;
    for (let x = 0; x < size; x++, to += 3) {
      let r = half, g = half, b = half, from = 4 * (start + across.first[x]), k = x * across.room;
      for (const end = k + across.count[x]; k < end; k++, from += 4) {
        const weight = across.of[k];
        r += data[from] * weight; g += data[from + 1] * weight; b += data[from + 2] * weight;
      }
      between[to] = r >> BITS; between[to + 1] = g >> BITS; between[to + 2] = b >> BITS;
    }
  }
  const out = new Uint8Array(size * size * 3), row = size * 3;
  for (let y = 0; y < size; y++) {
    const start = down.first[y] * row, at = y * down.room, count = down.count[y];
    for (let i = 0; i < row; i++) {
      let sum = half;
      for (let k = 0, from = start + i; k < count; k++, from += row) sum += between[from] * down.of[at + k];
      out[y * row + i] = sum >> BITS;
    }
  }
  return out;
}

// ---- JPEGs, at the fraction of their size at which Python opens them ----

// The fraction is the smallest that leaves enough pixels; libjpeg then takes the mean of each k x k pixels.
function asPythonOpens(bytes, image) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return image;
  const room = Math.floor(Math.min(image.width, image.height) / size), k = [8, 4, 2, 1].find((n) => n <= room) ?? 1;
  if (k === 1) return image;
  const { means, width, height } = shrink(image, k);
  if (k === 2 && hasHalfColours(bytes)) sharpenColours(means, width, height);
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) data[4 * i + c] = means[3 * i + c];
  return { data, width, height };
}

function shrink({ data, width: across, height: down }, k) {
  const width = Math.ceil(across / k), height = Math.ceil(down / k), means = new Float32Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += 3) {
      const right = Math.min(across, (x + 1) * k), bottom = Math.min(down, (y + 1) * k);
      for (let j = y * k; j < bottom; j++)
        for (let i = x * k, from = 4 * (j * across + i); i < right; i++, from += 4)
          for (let c = 0; c < 3; c++) means[to + c] += data[from + c];
      const count = (right - x * k) * (bottom - y * k);
      for (let c = 0; c < 3; c++) means[to + c] /= count;
    }
  return { means, width, height };
}

// Whether a JPEG keeps colours at half its size, as nearly all do: so says the segment that tells its size.
function hasHalfColours(bytes) {
  for (let at = 2; bytes[at] === 0xff; at += 2 + (bytes[at + 2] << 8) + bytes[at + 3])
    if (bytes[at + 1] >= 0xc0 && bytes[at + 1] <= 0xc2) return bytes[at + 11] === 0x22;
  return false;
}

// At half size libjpeg takes such colours as they are. The browser has doubled and smoothed them; their means are
// an eighth, three quarters and an eighth of neighbours, which is undone here, along rows and then columns.
function sharpenColours(means, width, height) {
  const blue = new Float64Array(width * height), red = new Float64Array(width * height), count = width * height;
  for (let i = 0; i < count; i++) {
    const [r, g, b] = means.subarray(3 * i, 3 * i + 3);
    blue[i] = -0.168736 * r - 0.331264 * g + 0.5 * b;
    red[i] = 0.5 * r - 0.418688 * g - 0.081312 * b;
  }
  const before = [blue.slice(), red.slice()];
  for (const plane of [blue, red]) {
    for (let y = 0; y < height; y++) unsmooth(plane, y * width, 1, width);
    for (let x = 0; x < width; x++) unsmooth(plane, x, width, height);
  }
  for (let i = 0; i < count; i++) {
    const u = blue[i] - before[0][i], v = red[i] - before[1][i];
    means[3 * i] += 1.402 * v;
    means[3 * i + 1] -= 0.344136 * u + 0.714136 * v;
    means[3 * i + 2] += 1.772 * u;
  }
}

// Solve the tridiagonal system of a line in place (Thomas's algorithm); at its ends 7/8 and 1/8.
function unsmooth(values, start, step, count) {
  if (count < 2) return;
  const above = new Float64Array(count), end = start + (count - 1) * step;
  for (let i = 0, at = start; i < count; i++, at += step) {
    const first = i === 0, middle = first || i === count - 1 ? 0.875 : 0.75;
    const pivot = middle - (first ? 0 : 0.125 * above[i - 1]);
    above[i] = 0.125 / pivot;
    values[at] = (values[at] - (first ? 0 : 0.125 * values[at - step])) / pivot;
  }
  for (let i = count - 2, at = end - step; i >= 0; i--, at -= step) values[at] -= above[i] * values[at + step];
}

// The square crops of a picture: some scales, and some places of each.
function grid({ width, height }, scales, steps) {
  const boxes = new Map(), shorter = Math.min(width, height), share = (i, n) => i / (n - 1);
  for (let s = 0; s < scales; s++) {
    const side = Math.round((smallest + (1 - smallest) * share(s, scales)) * shorter);
    for (let y = 0; y < steps; y++)
      for (let x = 0; x < steps; x++) {
        const left = Math.round(share(x, steps) * (width - side)), top = Math.round(share(y, steps) * (height - side));
        const box = [left, top, left + side, top + side];
        boxes.set(box.join(), box);
      }
  }
  return [...boxes.values()];
}

const whole = ({ width, height }) => [0, 0, width, height];

// Draw a picture onto white, as Python lays transparency on white, and return its pixels.
function pixelsOf(source, width, height, canvas) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(source, 0, 0, width, height);
  return pen.getImageData(0, 0, width, height);
}

// ---- what is seen ----

const parts = Object.fromEntries(
  ["stage", "video", "still", "frame", "meter", "fill", "score", "rank", "gain", "told", "camera", "upload",
    "kept", "best", "bestScore", "bestFrame", "forget", "savePhoto", "saveCrop"].map((id) => [id, byId(id)]));
const percent = (score) => (100 * score).toFixed(1);

function tell(text, wrong = false) {
  parts.told.textContent = text;
  parts.told.classList.toggle("wrong", wrong);
}

function showScore(score) {
  parts.meter.setAttribute("aria-valuenow", percent(score));
  parts.fill.style.transform = `scaleX(${score})`;
  parts.score.textContent = percent(score);
  const below = settings.crowd.filter((other) => other < score).length;
  parts.rank.textContent = `higher than ${Math.min(below, 100)}% of the photos that it was tested on`;
}

// Draw a box of a picture over the element that shows it, in shares of its sides.
function showFrame(frame, box, { width, height }) {
  frame.hidden = !box;
  if (!box) return;
  const [left, top, right, bottom] = box, share = (value) => `${100 * value}%`;
  Object.assign(frame.style, {
    left: share(left / width), top: share(top / height),
    width: share((right - left) / width), height: share((bottom - top) / height),
  });
}

function showGain(score, cropScore) {
  const points = 100 * (cropScore - score), sign = points >= 0 ? "+" : "−";
  parts.gain.textContent = `best square crop ${percent(cropScore)} (${sign}${Math.abs(points).toFixed(1)} points)`;
}

// Photos of people that rank in the worst tenth are shown no larger than a thumbnail, whoever they are.
const isLow = (score) => score <= settings.crowd[10];

// ---- the camera ----

const WHY = {
  NotAllowedError: "The camera was not allowed: allow it in the browser's settings of this page, or upload a photo.",
  NotFoundError: "There is no camera here: upload a photo.",
  NotReadableError: "Another program is using the camera: close it, or upload a photo.",
};
const INSECURE = "This page came over plain http, where browsers lend no camera: open it over https " +
  "(selfie serve --https) or from disk, or upload a photo.";

let rater = null, stream = null, best = null, job = 0; // a new job ends the one before
const seen = [document.createElement("canvas"), document.createElement("canvas")];
const times = [], lags = []; // ms from look to look, and from a picture to its score

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) return tell(isSecureContext ? WHY.NotFoundError : INSECURE, true);
  const wanted = { video: { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } } };
  try {
    stream = await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    return tell(WHY[error.name] ?? `The camera cannot be used (${error.message}): upload a photo.`, true);
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => closeCamera("The camera has gone: upload a photo."));
  parts.video.srcObject = stream;
  await parts.video.play();
  parts.stage.dataset.shows = "video";
  parts.camera.textContent = "Stop the camera";
  tell("The best picture is kept on this page; nothing leaves this device.");
  watch(++job).catch((error) => closeCamera(`The network stopped (${error.message}): reload the page.`, true));
}

function closeCamera(text = "", wrong = false) {
  job++;
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = parts.video.srcObject = null;
  parts.stage.dataset.shows = "nothing";
  parts.camera.textContent = "Start the camera";
  parts.frame.hidden = true;
  tell(text, wrong);
}

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

// One look of the network at a time: the picture, and in turn one of its crops, so that the bar stays quick. While
// the network looks, the page gets the next picture ready; so there are two canvases.
async function watch(mine) {
  const crops = { size: "", boxes: [], scores: [], next: 0 };
  let before = null, last = performance.now();
  for (let turn = 0; mine === job; turn++) {
    const begun = performance.now(), { videoWidth: width, videoHeight: height } = parts.video;
    if (width) {
      const image = pixelsOf(parts.video, width, height, seen[turn % 2]);
      const look = turn % 2 === 0 ? lookAtAll(image, crops, mine) : lookAtCrop(image, crops, mine);
      look.catch(() => {}); // is told when its turn comes
      await before;
      before = look.then(() => {
        const now = performance.now();
        if (times.push(now - last) > 3000) times.splice(0, 1000);
        if (lags.push(now - begun) > 3000) lags.splice(0, 1000);
        last = now;
      });
      before.catch(() => {});
    }
    const idle = performance.now() - begun < 10; // no camera is that quick
    if (!width || !rater.apart || document.hidden || idle) await nextFrame();
  }
}

async function lookAtAll(image, crops, mine) {
  const score = await rater.rate(squish(image, whole(image)));
  if (mine !== job) return;
  showScore((crops.score = score));
  if (crops.best !== undefined) showGain(score, crops.best);
  if (!best || score > best.score) keep(seen[0], score);
}

// Look at one crop: now at the best one again, which may be so no longer, now at the next of all.
async function lookAtCrop(image, crops, mine) {
  const shape = `${image.width} ${image.height}`;
  if (crops.size !== shape) Object.assign(crops, { size: shape, boxes: grid(image, 3, 3), scores: [], next: 0 });
  const finest = (scores) => scores.indexOf(Math.max(...scores));
  const again = crops.next++ % 2 === 1, at = again ? finest(crops.scores) : (crops.next >> 1) % crops.boxes.length;
  crops.scores[at] = -Infinity; // while we look, and where a crop of before was another size
  const score = await rater.rate(squish(image, crops.boxes[at]));
  if (mine !== job || crops.size !== shape) return;
  crops.scores[at] = score;
  const scores = crops.boxes.map((_, i) => crops.scores[i] ?? -Infinity), top = finest(scores);
  showFrame(parts.frame, crops.boxes[top], image);
  crops.best = scores[top]; // is told with the next score of the whole picture
}

// ---- the best picture, and photos of one's own ----

function keep(canvas, score, box = null) {
  best = { score, box, width: canvas.width, height: canvas.height };
  [parts.best.width, parts.best.height] = [canvas.width, canvas.height];
  parts.best.getContext("2d").drawImage(canvas, 0, 0);
  parts.best.parentElement.classList.toggle("low", isLow(score));
  parts.bestScore.textContent = percent(score);
  showFrame(parts.bestFrame, box, best);
  parts.kept.hidden = false;
}

function forget() {
  best = null;
  parts.kept.hidden = true;
  parts.best.width = parts.best.height = 1;
}

// Look for the best crop of a picture that stands still; tells how far it is.
async function bestCrop(image, mine, progress) {
  const boxes = grid(image, 5, 5), found = { score: -1, box: null };
  for (const [i, box] of boxes.entries()) {
    if (mine !== job) return null;
    const score = await rater.rate(squish(image, box));
    if (score > found.score) Object.assign(found, { score, box });
    if (i % 10 === 0) { progress(i / boxes.length); await nextFrame(); }
  }
  return found;
}

async function decode(file) {
  return createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
}

// Rate a file as `selfie rate` does; raises where it is no picture.
async function rateFile(file, canvas = document.createElement("canvas")) {
  const bitmap = await decode(file);
  const image = pixelsOf(bitmap, bitmap.width, bitmap.height, canvas);
  bitmap.close();
  const opened = asPythonOpens(new Uint8Array(await file.arrayBuffer()), image);
  return { image, score: await rater.rate(squish(opened, whole(opened))) };
}

async function showFile(file) {
  if (stream) closeCamera();
  const mine = ++job;
  let rated;
  try {
    rated = await rateFile(file, parts.still);
  } catch {
    parts.stage.dataset.shows = "nothing";
    return tell(`${file.name} cannot be read as a picture here: give a JPEG or PNG.`, true);
  }
  parts.stage.dataset.shows = "still";
  parts.stage.classList.toggle("low", isLow(rated.score));
  parts.frame.hidden = true;
  showScore(rated.score);
  await frameStill(rated.image, rated.score, mine);
}

async function frameStill(image, score, mine) {
  const found = await bestCrop(image, mine, (share) => tell(`Looking for the best crop: ${Math.round(100 * share)}%`));
  if (!found) return;
  showFrame(parts.frame, found.box, image);
  showGain(score, found.score);
  const low = isLow(score) ? " It ranks in the worst tenth: such photos are shown small everywhere in this project." : "";
  tell(`The frame is its best square crop.${low}`);
  if (!best || score > best.score) keep(parts.still, score, found.box);
}

// The camera's best picture gets its crop when the camera has stopped.
async function stopCamera() {
  closeCamera();
  if (!best || best.box) return;
  const mine = job, canvas = document.createElement("canvas");
  const image = pixelsOf(parts.best, best.width, best.height, canvas);
  const found = await bestCrop(image, mine, (share) => tell(`Looking for its best crop: ${Math.round(100 * share)}%`));
  if (!found || !best) return;
  best.box = found.box;
  showFrame(parts.bestFrame, found.box, best);
  showScore(best.score);
  showGain(best.score, found.score);
  tell("The frame in the kept picture is its best square crop.");
}

function save(name, [left, top, right, bottom]) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [right - left, bottom - top];
  canvas.getContext("2d").drawImage(parts.best, -left, -top);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }, "image/jpeg", 0.95);
}

// ---- begin ----

async function showLicences(event) {
  if (event.target.open && byId("licences").textContent.trim())
    byId("licenceTexts").textContent = new TextDecoder().decode(await unpack("licences"));
}

function listen() {
  parts.camera.addEventListener("click", () => (stream ? stopCamera() : openCamera()));
  parts.upload.addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files.length) showFile(target.files[0]);
    target.value = ""; // so that the same photo can be chosen again
  });
  parts.forget.addEventListener("click", forget);
  parts.savePhoto.addEventListener("click", () => save("best.jpg", whole(best)));
  parts.saveCrop.addEventListener("click", () => save("best_crop.jpg", best.box ?? squareOf(best)));
  byId("about").addEventListener("toggle", showLicences);
}

function squareOf({ width, height }) {
  const side = Math.min(width, height), left = (width - side) >> 1, top = (height - side) >> 1;
  return [left, top, left + side, top + side];
}

async function begin() {
  tell("Loading the network…");
  rater = await loadRater();
  listen();
  for (const button of [parts.camera, parts.upload]) button.disabled = false;
  const where = { webgpu: "the graphics processor", wasm: "the processor" }[rater.place];
  tell(`Ready. The network runs on ${where} of this device.`);
  return { seconds: performance.now() / 1000, place: rater.place };
}

// For those who measure or check the page.
window.selfie = { settings, times, lags, squish, rate: async (file) => (await rateFile(file)).score };
window.selfie.ready = begin().catch((error) => {
  tell(error.message, true);
  return { error: error.message };
});
