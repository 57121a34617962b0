// The browser's half of rate_widget.py. A photo is turned upright and shrunk here, so that one of 48 megapixels
// passes through Jupyter's default limits, and its EXIF data stay where they are.

const LARGEST = 512; // px of the longer side that is sent
const FRAME = 256; // px of the longer side of a camera's frame
const RAW = 6e6; // bytes of a file that is sent as it is where the browser can't read it; the limit is 10 MB
const PATIENCE = 8000; // ms without an answer, after which we say so

const MARKUP = `
<div class="ways">
  <button type="button" data-do="choose">Choose a photo</button>
  <button type="button" data-do="camera" aria-pressed="false">Camera</button>
  <button type="button" data-do="take" hidden>Take it</button>
  <button type="button" data-do="save" disabled>Save</button>
  <span>or drop or paste one here. Nothing is written to disk unless you press Save.</span>
  <input type="file" accept="image/*" hidden aria-label="A photo">
</div>
<div class="live" hidden>
  <video muted playsinline aria-label="What the camera sees"></video>
  <div><div class="score">–</div><meter min="0" max="1" value="0" aria-label="Share of test posts that score lower"></meter>
  <div class="standing"></div><small class="speed"></small></div>
</div>
<p class="said" role="status" aria-live="polite"></p>
<div class="answer"></div>`;

const CAMERA = {
  NotAllowedError: "The browser may not use the camera: allow it in the address bar, or choose a photo.",
  NotFoundError: "No camera was found: plug one in, or choose a photo.",
  NotReadableError: "The camera is in use by another program: close that, or choose a photo.",
};
const PLAIN_HTTP = "The camera works over https or on localhost only, and this page came over plain http: choose a photo.";

function render({ model, el }) {
  el.innerHTML = `<div class="selfie-rate selfie-alive" tabindex="0" role="group" aria-label="Rate a photo of yours" data-lm-suppress-shortcuts="true">${MARKUP}</div>`;
  const root = el.firstElementChild;
  const find = (selector) => root.querySelector(selector);
  const [input, video, live, saved] = ["input", "video", ".live", "[data-do=save]"].map(find);
  let number = 0; // of what was asked last; older answers are dropped
  let stream = null;
  let waiting = null; // {id, done}: the frame that is under way

  function say(text, wrong = false) {
    find(".said").textContent = text;
    find(".said").classList.toggle("wrong", wrong);
  }

  const late = "No answer yet: the kernel is busy or gone. Wait for its other cells, or run this cell again.";
  let timer = 0;
  function ask(kind, buffer) {
    clearTimeout(timer);
    timer = setTimeout(() => say(late, true), PATIENCE);
    model.send({ kind, id: ++number }, undefined, buffer ? [buffer] : []);
    return number;
  }

  const replies = {
    answer({ html, whole }) {
      find(".answer").innerHTML = html;
      saved.disabled = !whole;
      say(whole ? "" : "Looking for the best crop…");
    },
    error({ text }) { say(text, true); },
    saved({ text }) { say(text); },
    score() {},
  };

  function onMessage(message) {
    if (message.id !== number) return; // something newer was asked for
    clearTimeout(timer);
    replies[message.kind]?.(message);
    if (waiting?.id === message.id) waiting.done(message);
  }
  model.on("msg:custom", onMessage);

  async function rate(file) {
    stop();
    saved.disabled = true;
    find(".answer").replaceChildren();
    if (!file) return say("That was no photo: drop or paste an image file.", true);
    say("Reading the photo…");
    let small;
    try {
      const photo = await createImageBitmap(file, { imageOrientation: "from-image" });
      small = await shrunk(photo, photo.width, photo.height, LARGEST);
      photo.close();
    } catch {
      if (file.size > RAW || !file.size) {
        return say(`The browser cannot read ${file.name || "this file"}: it may be broken; give a JPEG or PNG file.`, true);
      }
      small = file; // Python knows more formats, and says best what is wrong with a file
    }
    const data = await small.arrayBuffer();
    say("Rating it…");
    ask("photo", data);
  }

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      return say(window.isSecureContext ? "This browser offers no camera: choose a photo." : PLAIN_HTTP, true);
    }
    say("Waiting for the camera…");
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: 640 } });
    } catch (error) {
      return say(CAMERA[error.name] ?? `The camera does not start (${error.message}): choose a photo.`, true);
    }
    video.srcObject = stream;
    await video.play();
    showCamera(true);
    say("");
    film(stream);
  }

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    waiting?.done(null);
    showCamera(false);
  }

  function showCamera(on) {
    live.hidden = find("[data-do=take]").hidden = !on;
    find("[data-do=camera]").setAttribute("aria-pressed", on);
    find("[data-do=camera]").textContent = on ? "Stop" : "Camera";
    if (on) {
      find(".answer").replaceChildren();
      saved.disabled = true;
    }
  }

  // A frame is taken when the one before is answered: the newest one wins, and none ever waits in a queue.
  async function film(mine) {
    const times = [];
    while (stream === mine) {
      const frame = await shrunk(video, video.videoWidth, video.videoHeight, FRAME);
      const data = await frame.arrayBuffer();
      if (stream !== mine) return;
      const reply = await new Promise((done) => { waiting = { id: ask("frame", data), done }; });
      waiting = null;
      if (reply?.kind !== "score") continue;
      times.push(performance.now());
      if (times.length > 20) times.shift();
      showScore(reply, (1000 * (times.length - 1)) / (times.at(-1) - times[0] || 1));
    }
  }

  function showScore({ score, percentile, faces }, speed) {
    const who = faces === 1 ? "" : faces ? ` ${faces} faces.` : " No face is found: do not trust the score.";
    find(".score").textContent = `${(100 * score).toFixed(1)}%`;
    find("meter").value = percentile;
    find(".standing").textContent = `${Math.round(100 * percentile)}% of test posts score lower.${who}`;
    find(".speed").textContent = speed ? `${speed.toFixed(0)} frames a second` : "";
    find(".speed").dataset.speed = speed;
  }

  async function take() {
    const frame = await shrunk(video, video.videoWidth, video.videoHeight, LARGEST);
    rate(new File([frame], "camera.jpg", { type: frame.type }));
  }

  const actions = {
    choose: () => input.click(),
    camera: () => (stream ? stop() : start()),
    take,
    save: () => ask("save"),
  };
  root.addEventListener("click", (event) => actions[event.target.dataset?.do]?.());
  input.addEventListener("change", () => { rate(input.files[0]); input.value = ""; });
  root.addEventListener("paste", (event) => { event.preventDefault(); event.stopPropagation(); rate(photoIn(event.clipboardData)); });
  root.addEventListener("keydown", (event) => { if (event.key === "Escape" && stream) stop(); });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    root.addEventListener(kind, (event) => {
      event.preventDefault(); // or else the browser opens the photo, or JupyterLab uploads it
      event.stopPropagation();
      root.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") rate(photoIn(event.dataTransfer));
    });
  }
  return () => { stop(); clearTimeout(timer); model.off("msg:custom", onMessage); };
}

function photoIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0];
}

// A JPEG of a picture, its longer side of `largest` px at most, on white where it is transparent.
async function shrunk(picture, width, height, largest) {
  const scale = Math.min(1, largest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * width));
  canvas.height = Math.max(1, Math.round(scale * height));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/jpeg", 0.92);
  });
}

export default { render };
