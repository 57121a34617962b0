// The map, near and far: draws the photos of the page that map_page.py has filled; map_page.controls.js lets people
// walk in it.
//
// Places are in the unit square; `view` is the place in the middle of the canvas and the zoom, 1 where the whole
// fits. Where few photos are in view they are drawn one by one, from sprite sheets that are decoded as they come
// in view. Where many are, each is copied pixel by pixel, far away from the overview, in which every photo is
// very small: as fast for 50,000 as for 1,000. The whole grid as it is needs no more than the overview itself.

const MOST_TILES = 400; // drawn one by one in a frame that moves
const COARSE = 2.5; // times as large as in the overview photos may be, while the map moves
const SLICE = 400; // tiles per frame, while a map at rest is sharpened
const SHEETS_KEPT = 48; // decoded; a sheet takes 8 MB
const TSNE_SHARE = 0.5; // side of a photo at its t-SNE place, in cells of the grid: photos overlap there
const SPREAD = 6; // how far t-SNE places may be pulled apart once photos have their own size
const PICKED = "#f0e442"; // outline of selected posts
const element = (id) => document.getElementById(id);
const between = (value, low, high) => Math.min(high, Math.max(low, value));
const still = matchMedia("(prefers-reduced-motion: reduce)");

// ---------------------------------------------------------------------------------------- what the page holds

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function readTable() {
  const packed = new Blob([bytesOf(element("table").textContent)]);
  const table = await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).json();
  const own = Math.min(table.unrecognisable, table.size);
  table.count = table.ids.length;
  table.side = Math.max(...table.column.slice(0, 240)) + 1;
  table.own = Uint16Array.from(table.small, (flag) => (flag === "1" ? own : table.size));
  table.lower = table.ids.map((id) => id.toLowerCase());
  table.best = [...table.ids.keys()].sort((a, b) => table.score[b] - table.score[a]);
  table.rank = new Int32Array(table.count);
  table.best.forEach((post, place) => (table.rank[post] = place + 1));
  return table;
}

const decode = (base64) => createImageBitmap(new Blob([bytesOf(base64)], { type: "image/webp" }));

/** A picture that can be drawn, and its pixels, read when they are first asked for. */
class Picture {
  constructor(source, width = source.width, height = source.height) {
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.drawImage(source, 0, 0, width, height);
    this.width = width;
  }

  get pixels() {
    const read = () => this.context.getImageData(0, 0, this.width, this.canvas.height).data.buffer;
    return (this.read ??= new Uint32Array(read()));
  }
}

/** The overview, and halved again and again: pictures in which a photo has 1, 2, 4… px. */
function halved(overview, size) {
  const levels = [Object.assign(new Picture(overview), { size })];
  while (levels[0].size > 1) {
    const { canvas, size } = levels[0];
    levels.unshift(Object.assign(new Picture(canvas, canvas.width / 2, canvas.height / 2), { size: size / 2 }));
  }
  return levels;
}

/** Copy a square of `size` px at `start` of one picture to a box of another, every pixel from the nearest. */
function copy(from, start, size, to, box, tint) {
  const { pixels, width } = from, { left, top, right, bottom } = box;
  const across = size / (right - left), down = size / (bottom - top), half = (tint >>> 1) & 0x7f7f7f;
  const first = Math.max(0, left), last = Math.min(right, to.width), end = Math.min(bottom, to.height);
  for (let y = Math.max(0, top); y < end; y++) {
    const row = start + (((y - top) * down) | 0) * width;
    let at = y * to.width + first;
    if (tint) for (let x = first; x < last; x++) {
      to.pixels[at++] = 0xff000000 | (((pixels[row + (((x - left) * across) | 0)] >>> 1) & 0x7f7f7f) + half);
    }
    else for (let x = first; x < last; x++) to.pixels[at++] = pixels[row + (((x - left) * across) | 0)];
  }
}

function fill(to, { left, top, right, bottom }, colour) {
  const first = Math.max(0, left), last = Math.min(right, to.width), end = Math.min(bottom, to.height);
  for (let y = Math.max(0, top); y < end; y++) {
    for (let at = y * to.width + first; at < y * to.width + last; at++) to.pixels[at] = colour;
  }
}

/** Sprite sheets, decoded two at a time when they are asked for; those that were long not in view are forgotten. */
class Sheets {
  constructor(whenDecoded) {
    this.texts = [...document.querySelectorAll("script.sheet")];
    this.decoded = new Map();
    this.waiting = new Set();
    this.busy = 0;
    this.frame = 0;
    this.whenDecoded = whenDecoded;
  }

  get(number) {
    const found = this.decoded.get(number);
    if (found) found.used = this.frame;
    else {
      this.waiting.add(number);
      this.next();
    }
    return found;
  }

  async next() {
    while (this.busy < 2 && this.waiting.size > this.busy) {
      const number = [...this.waiting][this.busy++];
      const sheet = new Picture(await decode(this.texts[number].textContent));
      this.busy--;
      this.waiting.delete(number);
      this.decoded.set(number, Object.assign(sheet, { used: this.frame }));
      this.forget();
      this.whenDecoded();
    }
  }

  forget() {
    for (const [number, { used }] of this.decoded) {
      if (this.decoded.size > SHEETS_KEPT && used < this.frame - 2) this.decoded.delete(number);
    }
  }
}

// ------------------------------------------------------------------------------------------------- colours

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const packed = (hex) => {
  const [red, green, blue] = channels(hex);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
};

/** The choices of colour: by name, a function of the post that returns a colour or "", and a legend. */
function colourings(table) {
  const { palette, ramp, span: [low, high] } = table;
  const step = (score) => Math.round(between((score - low) / (high - low || 1), 0, 1) * (ramp.length - 1));
  const flags = (text, yes, no, told) => ({
    of: (post) => ({ 1: yes, 0: no })[text[post]] ?? "",
    legend: [[yes, told[0]], [no, told[1]]],
  });
  const all = new Map([["nothing", null]]);
  const ends = [low, high].map((score) => `${Math.round(100 * score)}%`);
  all.set("score", { of: (post) => ramp[step(table.score[post])], ramp, ends });
  if (/[01]/.test(table.label)) {
    all.set("label", flags(table.label, palette.good, palette.bad, ["good", "bad"]));
  }
  for (const [name, text] of Object.entries(table.known)) {
    if (!all.has(name)) all.set(name, flags(text, palette.yes, palette.no, [name, "not"]));
  }
  return all;
}

// ----------------------------------------------------------------------------------------------------- map

class SelfieMap {
  constructor(table, overview) {
    Object.assign(this, { table, sheets: new Sheets(() => this.ask()), levels: halved(overview, table.mini) });
    this.canvas = element("map");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.soft = document.createElement("canvas"); // for pixels written by hand, one per CSS px
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.morph = 1; // 0: t-SNE places, 1: the grid
    this.range = [0, 100];
    this.keep = new Uint8Array(table.count).fill(1);
    this.colourings = colourings(table);
    this.chosen = { colour: "nothing", outline: "nothing" };
    this.paint = { colour: null, outline: null };
    this.selected = new Set();
    this.current = -1;
    this.rope = null; // the lasso's corners while it is drawn
    this.seen = new Int32Array(table.count); // posts in view, and where
    this.left = new Float32Array(table.count);
    this.top = new Float32Array(table.count);
    this.inView = 0;
    this.x = new Float32Array(table.count);
    this.y = new Float32Array(table.count);
    this.place();
  }

  /** Whether a post has a place as things stand; where there are more posts than cells, some have none. */
  hasPlace(post) {
    return this.morph <= 0.5 || this.table.row[post] >= 0;
  }

  place() {
    const { table, morph } = this;
    for (let post = 0; post < table.count; post++) {
      const hasCell = table.row[post] >= 0;
      const column = hasCell ? (table.column[post] + 0.5) / table.side : table.x[post];
      const row = hasCell ? (table.row[post] + 0.5) / table.side : table.y[post];
      this.x[post] = table.x[post] + (column - table.x[post]) * morph;
      this.y[post] = table.y[post] + (row - table.y[post]) * morph;
    }
  }

  get share() { return TSNE_SHARE + (1 - TSNE_SHARE) * this.morph; }
  get fit() { return 0.94 * Math.min(this.width, this.height); } // px of the unit square at zoom 1
  get scale() { return this.fit * this.view.zoom; }
  /** Zoom at which photos have their own size. */
  get closeZoom() { return Math.max(1, (this.table.size * this.table.side) / this.share / this.fit); }
  get mostZoom() { return this.closeZoom * (1.05 + (SPREAD - 1.05) * (1 - this.morph)); }
  /** Side of a photo in CSS px, before what is small stays small. */
  get tileSide() { return Math.max(1, Math.min(this.table.size, (this.scale / this.table.side) * this.share)); }
  sideOf(post) { return Math.min(this.tileSide, this.table.own[post]); }

  resize() {
    this.width = Math.max(1, this.canvas.clientWidth);
    this.height = Math.max(1, this.canvas.clientHeight);
    this.dense = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(this.width * this.dense);
    this.canvas.height = Math.round(this.height * this.dense);
    Object.assign(this.soft, { width: this.width, height: this.height });
    this.softContext = this.soft.getContext("2d", { willReadFrequently: true });
    this.image = this.softContext.createImageData(this.width, this.height);
    this.copied = { width: this.width, height: this.height, pixels: new Uint32Array(this.image.data.buffer) };
    this.look();
    this.draw();
  }

  look() {
    this.ground = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim();
  }

  /** Draw soon, once, however often it is asked for. */
  ask() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  findInView() {
    const { scale, view, width, height } = this, half = this.tileSide / 2;
    let count = 0;
    for (let post = 0; post < this.table.count; post++) {
      if ((!this.keep[post] && post !== this.current) || !this.hasPlace(post)) continue;
      const x = (this.x[post] - view.x) * scale + width / 2, y = (this.y[post] - view.y) * scale + height / 2;
      if (x < -half || y < -half || x > width + half || y > height + half) continue;
      this.seen[count] = post;
      this.left[count] = x;
      this.top[count++] = y;
    }
    this.inView = count;
  }

  draw() {
    cancelAnimationFrame(this.sharpening);
    this.sheets.frame++;
    this.findInView();
    const { context } = this;
    context.setTransform(this.dense, 0, 0, this.dense, 0, 0);
    context.fillStyle = this.ground;
    context.fillRect(0, 0, this.width, this.height);
    const far = this.tileSide <= this.table.mini;
    this.way = this.inView <= MOST_TILES ? "tiles" : far && this.isPlain() ? "overview" : "pixels";
    if (this.way === "tiles") this.drawTiles(0, this.inView);
    else if (this.way === "overview") this.drawOverview();
    else this.drawPixels();
    this.drawMarks();
    if (this.way !== "tiles" && this.tileSide * this.dense > this.table.mini) this.sharpen(0);
    this.whenDrawn?.();
  }

  /** Whether the overview, as it was made, is what has to be drawn. */
  isPlain() {
    const { colour, outline } = this.paint;
    return this.morph === 1 && !colour && !outline && !this.selected.size && this.isAllShown();
  }

  isAllShown() { return this.range[0] === 0 && this.range[1] === 100; }

  /** The picture of the overview in which photos have `size` px, or a little more. */
  level(size) { return this.levels.find((one) => one.size >= size) ?? this.levels.at(-1); }

  drawOverview() {
    const { scale, view, table } = this, cell = scale / table.side, level = this.level(this.tileSide * this.dense);
    const first = (middle, room) => Math.max(0, Math.floor((middle * scale - room / 2) / cell));
    const last = (middle, room) => Math.min(table.side, Math.ceil((middle * scale + room / 2) / cell));
    const left = first(view.x, this.width), top = first(view.y, this.height);
    const across = last(view.x, this.width) - left, down = last(view.y, this.height) - top;
    this.context.imageSmoothingQuality = "low";
    this.context.drawImage(level.canvas, left * level.size, top * level.size, across * level.size, down * level.size,
      this.width / 2 + left * cell - view.x * scale, this.height / 2 + top * cell - view.y * scale, across * cell, down * cell);
  }

  /** Draw some of the posts in view one by one. */
  drawTiles(from, to) {
    const { context, dense, paint } = this;
    context.imageSmoothingQuality = "low";
    for (let at = from; at < to; at++) {
      const post = this.seen[at], side = this.sideOf(post);
      const left = Math.round((this.left[at] - side / 2) * dense) / dense;
      const top = Math.round((this.top[at] - side / 2) * dense) / dense;
      const right = Math.round((this.left[at] + side / 2) * dense) / dense;
      const size = Math.max(1 / dense, right - left);
      const edge = this.selected.has(post) ? PICKED : paint.outline?.[post];
      const inset = edge ? Math.ceil(size * 0.06 * dense) / dense : 0;
      if (edge) this.fillTile(edge, left, top, size); // and the photo on it: faster than drawing an edge
      this.drawPhoto(context, post, left + inset, top + inset, size - 2 * inset);
      if (paint.colour?.[post]) this.tint(paint.colour[post], left + inset, top + inset, size - 2 * inset);
    }
  }

  /** Where the photo of a post is: in its sheet, or in the overview where that is large enough or the sheet not there. */
  photoOf(post, size) {
    const { table } = this, columns = Math.floor(table.sheet / table.size), place = table.tile[post];
    const sheet = size > table.mini ? this.sheets.get(Math.floor(place / columns ** 2)) : null;
    const at = place % columns ** 2;
    if (sheet) {
      const x = (at % columns) * table.size, y = Math.floor(at / columns) * table.size;
      return { picture: sheet, x, y, size: table.own[post], sharp: true };
    }
    const picture = this.level(size);
    const x = (post % table.side) * picture.size, y = Math.floor(post / table.side) * picture.size;
    return { picture, x, y, size: picture.size, sharp: size <= table.mini };
  }

  drawPhoto(context, post, left, top, size) {
    const photo = this.photoOf(post, size * this.dense);
    context.drawImage(photo.picture.canvas, photo.x, photo.y, photo.size, photo.size, left, top, size, size);
    return photo.sharp;
  }

  fillTile(colour, left, top, size) {
    this.context.fillStyle = colour;
    this.context.fillRect(left, top, size, size);
  }

  tint(colour, left, top, size) {
    this.context.globalAlpha = size < 8 ? 1 : 0.5;
    this.fillTile(colour, left, top, size);
    this.context.globalAlpha = 1;
  }

  /** Draw all posts in view by copying pixels, one per CSS px. */
  drawPixels() {
    const side = this.tileSide, { packedColour: colour, packedOutline: outline } = this.paint;
    const picked = packed(PICKED), thick = Math.max(1, Math.round(side * 0.06)), box = {};
    const sharp = side > COARSE * this.table.mini, level = this.level(side);
    this.copied.pixels.fill(packed(this.ground));
    for (let at = 0; at < this.inView; at++) {
      const post = this.seen[at], half = this.sideOf(post) / 2;
      box.left = Math.round(this.left[at] - half);
      box.top = Math.round(this.top[at] - half);
      box.right = Math.max(box.left + 1, Math.round(this.left[at] + half));
      box.bottom = Math.max(box.top + 1, Math.round(this.top[at] + half));
      const edge = this.selected.has(post) ? picked : outline ? outline[post] : 0;
      const flat = side < 5 && edge ? edge : side < 8 && colour ? colour[post] : 0;
      if (edge || flat) fill(this.copied, box, side < 5 || !edge ? flat : edge);
      if (side < 5 && flat) continue;
      if (edge) this.shrink(box, thick);
      if (flat) fill(this.copied, box, flat);
      else this.copyPhoto(post, sharp, level, box, colour ? colour[post] : 0);
    }
    this.softContext.putImageData(this.image, 0, 0);
    this.context.imageSmoothingQuality = "low";
    this.context.drawImage(this.soft, 0, 0, this.width, this.height);
  }

  shrink(box, by) {
    box.left += by;
    box.top += by;
    box.right -= by;
    box.bottom -= by;
  }

  copyPhoto(post, sharp, level, box, tint) {
    const { table } = this, columns = Math.floor(table.sheet / table.size), place = table.tile[post];
    const sheet = sharp ? this.sheets.get(Math.floor(place / columns ** 2)) : null;
    if (sheet) {
      const at = place % columns ** 2, row = Math.floor(at / columns) * table.size;
      copy(sheet, row * sheet.width + (at % columns) * table.size, table.own[post], this.copied, box, tint);
    } else {
      const row = Math.floor(post / table.side) * level.size;
      copy(level, row * level.width + (post % table.side) * level.size, level.size, this.copied, box, tint);
    }
  }

  /** Once nothing moves, draw the photos in view one by one over what was drawn fast, some in each frame. */
  sharpen(from) {
    this.sharpening = requestAnimationFrame(() => {
      const to = Math.min(from + SLICE, this.inView);
      this.drawTiles(from, to);
      if (to < this.inView) this.sharpen(to);
      else this.drawMarks();
    });
  }

  drawMarks() {
    const { context } = this, at = this.seen.subarray(0, this.inView).indexOf(this.current);
    if (at >= 0) {
      const side = Math.max(6, this.sideOf(this.current)) + 3;
      for (const [colour, wide] of [["#000", 5], ["#fff", 2.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = wide;
        context.strokeRect(this.left[at] - side / 2, this.top[at] - side / 2, side, side);
      }
    }
    if (!this.rope) return;
    context.beginPath();
    for (const [x, y] of this.rope) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = "rgb(240 228 66 / .2)";
    context.fill();
    context.strokeStyle = PICKED;
    context.lineWidth = 2;
    context.stroke();
  }

  // What others ask of the map.

  /** Show the place (x, y) in the middle, as near as `zoom`; within what there is. */
  moveTo(x, y, zoom = this.view.zoom) {
    this.view = { x: between(x, 0, 1), y: between(y, 0, 1), zoom: between(zoom, 0.7, this.mostZoom) };
    this.ask();
  }

  pan(dx, dy) { this.moveTo(this.view.x - dx / this.scale, this.view.y - dy / this.scale); }

  /** Zoom so that what is at (x, y) of the canvas stays there. */
  zoomAt(x, y, factor) {
    const dx = x - this.width / 2, dy = y - this.height / 2, before = this.scale;
    const zoom = between(this.view.zoom * factor, 0.7, this.mostZoom), after = this.fit * zoom;
    this.moveTo(this.view.x + dx / before - dx / after, this.view.y + dy / before - dy / after, zoom);
  }

  setMorph(morph) {
    this.morph = morph;
    this.place();
    if (this.current >= 0) this.moveTo(this.x[this.current], this.y[this.current]);
    else this.moveTo(this.view.x, this.view.y);
  }

  setRange(low, high) {
    this.range = [Math.min(low, high), Math.max(low, high)];
    const [least, most] = this.range.map((end) => end / 100);
    this.table.score.forEach((score, post) => (this.keep[post] = score >= least && score <= most));
    this.ask();
  }

  setPaint(kind, name) {
    const chosen = this.colourings.get(name) ?? null;
    this.chosen[kind] = chosen ? name : "nothing";
    const colours = chosen && Array.from({ length: this.table.count }, (_, post) => chosen.of(post));
    this.paint[kind] = colours;
    const key = kind === "colour" ? "packedColour" : "packedOutline";
    this.paint[key] = colours && Uint32Array.from(colours, (one) => (one ? packed(one) : 0));
    this.ask();
  }

  /** The post whose photo is at (x, y) of the canvas, or -1; where photos overlap, the nearest. */
  at(x, y) {
    let found = -1, nearest = Infinity;
    const reach = Math.max(4, this.tileSide / 2);
    for (let at = 0; at < this.inView; at++) {
      const dx = Math.abs(this.left[at] - x), dy = Math.abs(this.top[at] - y);
      if (Math.max(dx, dy) > reach || dx + dy >= nearest) continue;
      nearest = dx + dy;
      found = this.seen[at];
    }
    return found;
  }

  /** The nearest photo in a direction from the current one, or in the middle of the view. */
  neighbour(right, down) {
    const from = this.current >= 0 ? [this.x[this.current], this.y[this.current]] : [this.view.x, this.view.y];
    let found = this.current, least = Infinity;
    for (let post = 0; post < this.table.count; post++) {
      if (post === this.current || !this.keep[post] || !this.hasPlace(post)) continue;
      const dx = this.x[post] - from[0], dy = this.y[post] - from[1];
      const ahead = dx * right + dy * down, aside = Math.abs(dx * down - dy * right);
      const cost = this.current < 0 ? Math.hypot(dx, dy) : ahead <= 1e-9 ? Infinity : ahead + 2.5 * aside;
      if (cost < least) [found, least] = [post, cost];
    }
    return found;
  }

  /** Posts whose photo has its middle inside the lasso. */
  inside(rope) {
    const found = [];
    for (let at = 0; at < this.inView; at++) {
      const x = this.left[at], y = this.top[at];
      let odd = false;
      for (let i = 0, j = rope.length - 1; i < rope.length; j = i++) {
        const [[xi, yi], [xj, yj]] = [rope[i], rope[j]];
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
      }
      if (odd) found.push(this.seen[at]);
    }
    return found;
  }

  shown() {
    return this.table.best.filter((post) => this.keep[post] && this.hasPlace(post));
  }
}
