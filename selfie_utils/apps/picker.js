// Picking by hand: tiles of a few sprites, picked by click and keyboard; the kernel writes every pick to disk.

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const PATIENCE = 5000; // ms after which a pick that is not on disk is told
let pickers = 0;

class Picking {
  constructor(model, el) {
    Object.assign(this, { model, undoable: [], waiting: new Map(), number: 0, at: 0, anchor: 0, id: `pick${pickers++}` });
    this.picked = new Set(model.get("picked"));
    this.shown = model.get("titles").map((_, place) => place); // places that the filter lets through
    this.makeTiles();
    this.makeBar();
    const root = make("div", { className: "picker selfie-alive" }, this.bar, this.grid, this.name);
    // Keys are ours, not JupyterLab's, which looks for this mark; Ctrl+S and the like stay its own.
    this.claim = (event) => {
      const ours = event.key.toLowerCase() === "z" || !(event.ctrlKey || event.metaKey);
      root.toggleAttribute("data-lm-suppress-shortcuts", ours);
    };
    window.addEventListener("keydown", this.claim, true);
    el.append(root);
    this.listen();
    this.paint();
    this.tell();
  }

  makeTiles() {
    const side = this.model.get("side");
    this.tiles = this.model.get("titles").map((title, place) => {
      const tile = make("div", { className: "picker-tile", id: `${this.id}-${place}`, title });
      tile.setAttribute("role", "option");
      tile.setAttribute("aria-label", title);
      tile.setAttribute("aria-selected", this.picked.has(place));
      tile.dataset.place = place;
      return tile;
    });
    this.grid = make("div", { className: "picker-grid", tabIndex: 0 }, ...this.tiles);
    this.grid.style.setProperty("--side", `${side}px`);
    this.grid.setAttribute("role", "listbox");
    this.grid.setAttribute("aria-multiselectable", "true");
    this.grid.setAttribute("aria-label", "Posts: arrow keys move, Space picks, Shift and arrows pick many");
    this.name = make("p", { className: "picker-name" });
    this.name.setAttribute("aria-hidden", "true"); // the tile says the same
  }

  makeBar() {
    this.filter = make("select", {}, make("option", { value: "", textContent: "all posts" }));
    this.filter.append(make("option", { value: "picked", textContent: "picked" }));
    this.filter.append(make("option", { value: "others", textContent: "not picked" }));
    for (const [number, name] of Object.keys(this.model.get("filters")).entries())
      this.filter.append(make("option", { value: number, textContent: name }));
    this.undo = make("button", { type: "button", textContent: "Undo" });
    this.count = make("output", { className: "picker-count" });
    this.count.setAttribute("aria-live", "polite");
    this.bar = make("div", { className: "picker-bar" }, make("label", {}, "Show ", this.filter), this.undo, this.count);
  }

  listen() {
    this.filter.addEventListener("change", () => this.applyFilter());
    this.undo.addEventListener("click", () => this.takeBack());
    this.grid.addEventListener("click", (event) => {
      const place = event.target.dataset?.place;
      if (place === undefined) return;
      this.moveTo(+place);
      if (event.shiftKey) this.pickRange();
      else this.toggle();
    });
    this.grid.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault()); // no text is marked
    this.grid.addEventListener("keydown", (event) => this.press(event));
    this.model.on("change:sprites", () => this.paint());
    this.model.on("change:picked", () => this.take());
    this.model.on("msg:custom", (said) => this.hear(said));
  }

  // Show the sprites that have come.
  paint() {
    const [across, side] = [this.model.get("across"), this.model.get("side")];
    this.urls ??= [];
    for (const [number, sprite] of this.model.get("sprites").entries()) {
      if (this.urls[number]) continue;
      this.urls[number] = URL.createObjectURL(new Blob([sprite], { type: "image/webp" }));
      const first = number * across * across;
      for (const [i, tile] of this.tiles.slice(first, first + across * across).entries()) {
        tile.style.backgroundImage = `url(${this.urls[number]})`;
        tile.style.backgroundPosition = `${-(i % across) * side}px ${-Math.floor(i / across) * side}px`;
      }
    }
  }

  press(event) {
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "z") this.takeBack();
    else if (command || event.altKey) return;
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else {
      const here = this.shown.indexOf(this.at);
      const across = Math.max(1, Math.floor(this.grid.clientWidth / (this.tiles[0].offsetWidth + 2)));
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, PageDown: 5 * across,
        PageUp: -5 * across, Home: -here, End: this.shown.length - 1 - here }[event.key];
      if (step === undefined || !this.shown.length) return;
      const to = here + step;
      if (to >= 0 && to < this.shown.length) this.moveTo(this.shown[to], event.shiftKey);
      if (event.shiftKey) this.pickRange();
    }
    event.preventDefault();
  }

  moveTo(place, keepAnchor = false) {
    this.tiles[this.at].classList.remove("at");
    this.at = place;
    this.tiles[place].classList.add("at");
    this.tiles[place].scrollIntoView({ block: "nearest" });
    this.grid.setAttribute("aria-activedescendant", this.tiles[place].id);
    this.name.textContent = this.tiles[place].title;
    this.keepAnchor = keepAnchor;
  }

  toggle() {
    const place = this.at;
    this.anchor = place;
    this.change(this.picked.has(place) ? { add: [], remove: [place] } : { add: [place], remove: [] });
  }

  // Pick all that is shown from where the last pick was to here.
  pickRange() {
    const ends = [this.shown.indexOf(this.anchor), this.shown.indexOf(this.at)].sort((a, b) => a - b);
    const add = this.shown.slice(Math.max(0, ends[0]), ends[1] + 1).filter((place) => !this.picked.has(place));
    if (add.length) this.change({ add, remove: [] });
  }

  change(what, isUndo = false) {
    if (!isUndo) this.undoable.push(what);
    const number = ++this.number;
    const timer = setTimeout(() => this.tell("Not saved yet: the kernel is busy or gone."), PATIENCE);
    this.waiting.set(number, { what, timer });
    this.show(what);
    this.tell();
    try {
      this.model.send({ ...what, number });
    } catch {
      this.tell("Not saved: the kernel is gone. Run the cell again.");
    }
  }

  takeBack() {
    const last = this.undoable.pop();
    if (last) this.change({ add: last.remove, remove: last.add }, true);
  }

  hear({ saved, failed, why }) {
    const number = saved ?? failed;
    if (!this.waiting.has(number)) return; // of another view of this picker
    clearTimeout(this.waiting.get(number).timer);
    this.waiting.delete(number);
    if (failed) this.take();
    this.tell(failed ? `Not saved: ${why}` : "");
  }

  // Take over what is on disk, and what is on its way there.
  take() {
    const now = new Set(this.model.get("picked"));
    for (const { what } of this.waiting.values()) {
      for (const place of what.add) now.add(place);
      for (const place of what.remove) now.delete(place);
    }
    this.show({
      add: [...now].filter((place) => !this.picked.has(place)),
      remove: [...this.picked].filter((place) => !now.has(place)),
    });
    this.tell();
  }

  show({ add, remove }) {
    for (const place of add) this.picked.add(place);
    for (const place of remove) this.picked.delete(place);
    for (const place of [...add, ...remove]) this.tiles[place].setAttribute("aria-selected", this.picked.has(place));
  }

  applyFilter() {
    const names = Object.keys(this.model.get("filters"));
    const { value } = this.filter;
    const wanted = { "": () => true, picked: (p) => this.picked.has(p), others: (p) => !this.picked.has(p) }[value];
    const having = wanted ? null : new Set(this.model.get("filters")[names[value]]);
    this.shown = [];
    for (const [place, tile] of this.tiles.entries()) {
      tile.hidden = !(wanted ? wanted(place) : having.has(place));
      if (!tile.hidden) this.shown.push(place);
    }
    if (this.shown.length && this.tiles[this.at].hidden) this.moveTo(this.shown[0]);
    this.tell();
  }

  tell(trouble = "") {
    const here = this.shown.filter((place) => this.picked.has(place)).length;
    const all = this.shown.length === this.tiles.length;
    const state = trouble || (this.waiting.size ? "saving…" : "saved");
    this.count.textContent = `${this.picked.size.toLocaleString("en")} picked of ${this.tiles.length.toLocaleString("en")}`
      + `${all ? "" : `, ${here} of the ${this.shown.length} shown`} · ${state}`;
    this.undo.disabled = !this.undoable.length;
  }
}

function render({ model, el }) {
  const picking = new Picking(model, el);
  return () => {
    window.removeEventListener("keydown", picking.claim, true);
    picking.urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
