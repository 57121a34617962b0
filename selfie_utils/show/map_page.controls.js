// What people do with the map: pointers, keys, the controls above it, and the address that keeps the view. It follows
// map_page.js in the page.

class Controls {
  constructor(map) {
    this.map = map;
    this.fingers = new Map();
    for (const kind of ["colour", "outline"]) {
      element(kind).append(...[...map.colourings.keys()].map((name) => new Option(name, name)));
    }
    this.readAddress();
    this.listenToControls();
    this.listenToPointers();
    this.listenToKeys();
    addEventListener("hashchange", () => this.readAddress());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { map.look(); map.ask(); });
    new ResizeObserver(() => map.resize()).observe(map.canvas);
    map.whenDrawn = () => this.whenDrawn();
  }

  // The address keeps the view.

  readAddress() {
    const { map } = this, said = new URLSearchParams(location.hash.slice(1));
    const number = (name, other) => {
      const value = parseFloat(said.get(name));
      return Number.isFinite(value) ? value : other;
    };
    map.current = map.table.ids.indexOf(said.get("post") ?? "");
    map.morph = between(number("morph", 100), 0, 100) / 100;
    map.place();
    map.setRange(between(number("from", 0), 0, 100), between(number("to", 100), 0, 100));
    for (const kind of ["colour", "outline"]) map.setPaint(kind, said.get(kind) ?? "nothing");
    map.view = { x: number("x", 0.5), y: number("y", 0.5), zoom: number("zoom", 1) };
    if (map.width) map.moveTo(map.view.x, map.view.y);
    this.showState();
  }

  writeAddress() {
    const { map } = this, round = (value) => String(Math.round(value * 1e5) / 1e5);
    const said = new URLSearchParams({ x: round(map.view.x), y: round(map.view.y), zoom: round(map.view.zoom) });
    if (map.morph < 1) said.set("morph", round(map.morph * 100));
    for (const kind of ["colour", "outline"]) if (map.paint[kind]) said.set(kind, map.chosen[kind]);
    if (!map.isAllShown()) { said.set("from", map.range[0]); said.set("to", map.range[1]); }
    if (map.current >= 0) said.set("post", map.table.ids[map.current]);
    try {
      history.replaceState(null, "", `#${said}`);
    } catch { /* inside a notebook the page has no address of its own */ }
  }

  whenDrawn() {
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.writeAddress(), 250); // browsers count how often it is written
    if (this.map.current >= 0 && this.lacksPhoto) this.showPhoto();
  }

  // What the page says.

  showState() {
    const { map } = this;
    element("morph").value = Math.round(map.morph * 100);
    ["from", "to"].forEach((end, i) => {
      element(end).value = map.range[i];
      element(`${end}-value`).value = `${map.range[i]}%`;
    });
    for (const kind of ["colour", "outline"]) element(kind).value = map.chosen[kind];
    this.showLegend();
    this.showPost();
    this.showSelection();
    this.tell();
  }

  /** Say a sentence, or how many posts are shown. */
  tell(sentence = "") {
    const { map } = this, { table } = map, count = (n) => n.toLocaleString("en");
    let shown = 0, without = 0;
    for (let post = 0; post < table.count; post++) {
      if (!map.keep[post]) continue;
      if (map.hasPlace(post)) shown++;
      else without++;
    }
    const others = without ? `, ${count(without)} without a cell in the grid` : "";
    const usual = `${count(shown)} of ${count(table.count)} posts shown${others}`;
    const picked = map.selected.size ? `; ${count(map.selected.size)} selected` : "";
    element("status").textContent = sentence || `${usual}${picked}.`;
  }

  showLegend() {
    const { map } = this, legend = element("legend");
    const kinds = ["colour", "outline"].filter((kind) => map.paint[kind]);
    legend.replaceChildren(...kinds.map((kind) => this.legendOf(kind)));
    legend.hidden = !kinds.length;
  }

  legendOf(kind) {
    const row = document.createElement("div"), { ramp, ends, legend } = this.map.colourings.get(this.map.chosen[kind]);
    const patch = (background, name = "") => {
      const one = document.createElement("i");
      one.style.background = background;
      one.className = name;
      return one;
    };
    const words = (text) => Object.assign(document.createElement("span"), { textContent: text });
    row.append(words(`${kind}:`));
    if (ramp) row.append(words(ends[0]), patch(`linear-gradient(to right, ${ramp.join()})`, "ramp"), words(ends[1]));
    else for (const [colour, told] of legend) row.append(patch(colour), words(told));
    return row;
  }

  nameOf(post) {
    const { table } = this.map, label = { 1: ", labelled good", 0: ", labelled bad" }[table.label[post]] ?? "";
    return `score ${(100 * table.score[post]).toFixed(1)}%, rank ${table.rank[post].toLocaleString("en")} of ` +
      `${table.count.toLocaleString("en")}${label}`;
  }

  showPost() {
    const { map } = this, post = map.current;
    element("post").hidden = post < 0;
    if (post < 0) return;
    const known = Object.entries(map.table.known).filter(([, text]) => text[post] === "1").map(([name]) => name);
    element("post-id").textContent = map.table.ids[post];
    element("post-told").textContent = this.nameOf(post);
    element("post-known").textContent = known.join(", ");
    element("select").setAttribute("aria-pressed", map.selected.has(post));
    this.showPhoto();
  }

  /** The photo of the current post at its own size: small where it may not be large. */
  showPhoto() {
    const { map } = this, own = map.table.own[map.current], canvas = element("photo");
    const side = Math.min(own, Math.round(innerWidth * 0.4)), dense = Math.min(2, devicePixelRatio || 1);
    Object.assign(canvas, { width: side * dense, height: side * dense });
    Object.assign(canvas.style, { width: `${side}px`, height: `${side}px` });
    canvas.setAttribute("aria-label", `Photo of ${map.table.ids[map.current]}`);
    this.lacksPhoto = !map.drawPhoto(canvas.getContext("2d"), map.current, 0, 0, side * dense);
  }

  showSelection() {
    const { map } = this, none = map.selected.size === 0;
    element("csv").disabled = element("none").disabled = none;
    element("csv").textContent = none ? "Save CSV" : `Save CSV of ${map.selected.size.toLocaleString("en")}`;
    if (map.current >= 0) element("select").setAttribute("aria-pressed", map.selected.has(map.current));
    // Inside a notebook, the cell around the map may want to know.
    if (parent !== window) parent.postMessage({ selfieMap: this.selectedIds() }, "*");
  }

  selectedIds() {
    return this.map.table.best.filter((post) => this.map.selected.has(post)).map((post) => this.map.table.ids[post]);
  }

  // What people ask for.

  choose(post, close = false) {
    const { map } = this;
    if (post >= 0 && !map.hasPlace(post)) map.setMorph(0);
    map.current = post;
    if (post >= 0) {
      const x = (map.x[post] - map.view.x) * map.scale, y = (map.y[post] - map.view.y) * map.scale;
      const far = Math.abs(x) > map.width * 0.4 || Math.abs(y) > map.height * 0.4;
      if (close) map.moveTo(map.x[post], map.y[post], Math.max(map.view.zoom, map.closeZoom));
      else if (far) map.moveTo(map.x[post], map.y[post]);
    }
    this.showState();
    if (post >= 0) this.tell(`${map.table.ids[post]}: ${this.nameOf(post)}.`);
    map.ask();
  }

  select(posts, replace = false) {
    const { map } = this;
    if (replace) map.selected.clear();
    for (const post of posts) map.selected.add(post);
    this.showSelection();
    this.tell();
    map.ask();
  }

  toggle() {
    const { map } = this;
    if (map.current < 0) return;
    if (!map.selected.delete(map.current)) map.selected.add(map.current);
    this.select([]);
  }

  search(text, next = false) {
    const { table } = this.map, wanted = text.trim().toLowerCase();
    if (!wanted) return this.tell();
    const exact = table.lower.indexOf(wanted);
    const found = exact >= 0 ? [exact] : [...table.ids.keys()].filter((post) => table.lower[post].includes(wanted));
    if (!found.length) return this.tell(`No post has an id with “${text.trim()}”.`);
    this.found = next ? ((this.found ?? -1) + 1) % found.length : 0;
    this.choose(found[this.found], true);
    if (found.length > 1) {
      this.tell(`${this.found + 1} of ${found.length.toLocaleString("en")}: ${table.ids[found[this.found]]}; Enter shows the next.`);
    }
  }

  /** Go to the t-SNE places (0) or the grid (1), slowly unless nothing shall move. */
  go(target) {
    const { map } = this, start = map.morph, begun = performance.now();
    const step = (now) => {
      const done = still.matches ? 1 : between((now - begun) / 700, 0, 1);
      map.setMorph(start + (target - start) * (done * done * (3 - 2 * done)));
      this.moving = done < 1 ? requestAnimationFrame(step) : 0;
      if (done === 1) this.showState();
    };
    cancelAnimationFrame(this.moving);
    step(begun);
  }

  saveCsv() {
    const { table } = this.map, quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = table.best.filter((post) => this.map.selected.has(post)).map((post) =>
      [quoted(table.ids[post]), table.score[post], { 1: "good", 0: "bad" }[table.label[post]] ?? ""].join());
    const text = ["post_id,score,label", ...rows, ""].join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "selected_posts.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  setLasso(on) {
    element("lasso").setAttribute("aria-pressed", on);
    this.map.canvas.classList.toggle("drawing", on);
    this.map.rope = null;
    this.map.ask();
    this.tell(on ? "Draw around photos to select them; with Shift, add them to those selected." : "");
  }

  get drawsLasso() { return element("lasso").getAttribute("aria-pressed") === "true"; }

  listenToControls() {
    const { map } = this, on = (id, kind, act) => element(id).addEventListener(kind, act);
    const zoom = (factor) => map.zoomAt(map.width / 2, map.height / 2, factor);
    on("more", "click", () => {
      const open = element("controls").classList.toggle("open");
      element("more").setAttribute("aria-expanded", open);
    });
    on("search", "input", (event) => this.search(event.target.value));
    on("search", "keydown", (event) => event.key === "Enter" && this.search(event.target.value, true));
    on("morph", "input", (event) => { map.setMorph(event.target.value / 100); this.tell(); });
    for (const kind of ["colour", "outline"]) {
      on(kind, "change", (event) => { map.setPaint(kind, event.target.value); this.showLegend(); });
    }
    for (const end of ["from", "to"]) {
      on(end, "input", () => { map.setRange(+element("from").value, +element("to").value); this.showRange(); });
    }
    on("lasso", "click", () => this.setLasso(!this.drawsLasso));
    on("all", "click", () => this.select(map.shown()));
    on("none", "click", () => this.select([], true));
    on("csv", "click", () => this.saveCsv());
    on("in", "click", () => zoom(1.6));
    on("out", "click", () => zoom(1 / 1.6));
    on("whole", "click", () => map.moveTo(0.5, 0.5, 1));
    on("select", "click", () => this.toggle());
    on("close", "click", () => { this.choose(-1); map.canvas.focus(); });
  }

  showRange() {
    ["from", "to"].forEach((end) => (element(`${end}-value`).value = `${element(end).value}%`));
    this.tell();
  }

  listenToPointers() {
    const { canvas } = this.map;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.up(event));
    canvas.addEventListener("dblclick", (event) => this.map.zoomAt(event.offsetX, event.offsetY, 2));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      this.map.zoomAt(event.offsetX, event.offsetY, Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 400)));
    }, { passive: false });
  }

  down(event) {
    this.map.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.travelled = this.fingers.size > 1 ? Infinity : 0; // two fingers never mean a tap
    const lasso = this.drawsLasso && this.fingers.size === 1;
    this.map.rope = lasso ? [[event.offsetX, event.offsetY]] : null;
  }

  move(event) {
    const { map } = this, before = this.fingers.get(event.pointerId), now = [event.offsetX, event.offsetY];
    if (!before) return this.hover(...now);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    this.travelled += Math.hypot(dx, dy);
    this.fingers.set(event.pointerId, now);
    if (this.fingers.size === 2) this.pinch(event.pointerId, before, now);
    else if (map.rope) { map.rope.push(now); map.ask(); }
    else map.pan(dx, dy);
  }

  pinch(id, before, now) {
    const [, other] = [...this.fingers].find(([key]) => key !== id);
    const apart = (one) => Math.max(8, Math.hypot(one[0] - other[0], one[1] - other[1]));
    const middle = (one) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
    const [from, to] = [middle(before), middle(now)];
    this.map.pan(to[0] - from[0], to[1] - from[1]);
    this.map.zoomAt(to[0], to[1], apart(now) / apart(before));
  }

  up(event) {
    const { map } = this, rope = map.rope;
    if (!this.fingers.delete(event.pointerId) || this.fingers.size) return;
    map.rope = null;
    if (rope && rope.length > 2) this.select(map.inside(rope), !event.shiftKey);
    else if (this.travelled < 6 && event.type === "pointerup") this.choose(map.at(event.offsetX, event.offsetY));
    map.ask();
  }

  hover(x, y) {
    const post = this.map.at(x, y);
    if (post === this.hovered) return;
    this.hovered = post;
    this.map.canvas.title = post < 0 ? "" : `${this.map.table.ids[post]}: ${this.nameOf(post)}`;
  }

  listenToKeys() {
    this.map.canvas.addEventListener("keydown", (event) => this.key(event));
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.setLasso(false); this.choose(-1); this.map.canvas.focus(); }
      const typing = /INPUT|SELECT/.test(event.target.tagName) && event.target.type !== "range";
      if (event.key !== "/" || typing) return;
      event.preventDefault();
      element("controls").classList.add("open");
      element("search").focus();
    });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { map } = this, middle = [map.width / 2, map.height / 2];
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const acts = {
      "+": () => map.zoomAt(...middle, 1.6), "=": () => map.zoomAt(...middle, 1.6),
      "-": () => map.zoomAt(...middle, 1 / 1.6), 0: () => map.moveTo(0.5, 0.5, 1),
      Enter: () => this.choose(map.current >= 0 ? map.current : map.neighbour(0, 0), true),
      " ": () => this.toggle(), a: () => this.select(map.shown()), l: () => this.setLasso(!this.drawsLasso),
      g: () => this.go(map.morph > 0.5 ? 0 : 1),
    };
    const way = ways[event.key], act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (way && event.shiftKey) map.pan(-120 * way[0], -120 * way[1]);
    else if (way) this.choose(map.neighbour(...way));
    else if (act) act();
    else return;
    event.preventDefault();
  }
}

if (parent !== window) { // inside a notebook, where the pages beside this one are elsewhere
  for (const link of document.querySelectorAll("a[href]")) link.replaceWith(link.textContent);
}
const table = await readTable();
const map = new SelfieMap(table, await decode(element("overview").textContent));
map.resize();
globalThis.selfieMap = Object.assign(map, { controls: new Controls(map) });
map.draw();
document.documentElement.dataset.ready = Math.round(performance.now()); // ms from the address to the first view
