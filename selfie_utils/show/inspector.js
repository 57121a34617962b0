// A closer look at any tile of a contact sheet: in a live notebook, as an anywidget, and on report pages.
// All text comes from the data, so it only ever becomes text.

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Draw a square of a picture; `most` px is the largest that it may be shown at, 0 any.
function thumbnail(canvas, picture, { scale, left, top, side }, most) {
  const px = Math.max(1, Math.round(side * scale));
  Object.assign(canvas, { width: px, height: px });
  canvas.style.maxWidth = most ? `${most}px` : "";
  canvas.getContext("2d").drawImage(picture, left * scale, top * scale, px, px, 0, 0, px, px);
}

class Inspected {
  // `table` as from `Closer.table`; what it says becomes buttons above `image`, inside `frame`.
  constructor(frame, image, table) {
    Object.assign(this, { frame, image, table, sprites: [], trail: [] });
    const [width, height] = table.size;
    const share = (part, whole) => `${(100 * part) / whole}%`;
    this.buttons = table.tiles.map(([photo, left, top, side], number) => {
      const button = make("button", { type: "button", className: "closer-tile", tabIndex: number ? -1 : 0 });
      button.setAttribute("aria-label", table.photos[photo].title);
      button.setAttribute("aria-haspopup", "dialog");
      button.dataset.number = number;
      Object.assign(button.style, {
        left: share(left, width), top: share(top, height), width: share(side, width), height: share(side, height),
      });
      return button;
    });
    this.name = make("div", { className: "closer-name", hidden: true });
    this.name.setAttribute("aria-hidden", "true"); // the button says the same
    this.tiles = make("div", { className: "closer-tiles" }, ...this.buttons);
    this.tiles.setAttribute("role", "group");
    this.tiles.setAttribute("aria-label", "Photos on this sheet: arrow keys move, Enter opens");
    this.dialog = this.makeDialog();
    frame.classList.add("closer-frame");
    frame.append(this.tiles, this.name, this.dialog);
    this.listen();
  }

  listen() {
    const number = (event) => event.target.closest?.(".closer-tile")?.dataset.number;
    const tell = (event) => this.tell(number(event));
    this.tiles.addEventListener("pointerover", (event) => event.pointerType !== "touch" && tell(event));
    this.tiles.addEventListener("focusin", tell);
    for (const kind of ["pointerleave", "focusout"]) this.tiles.addEventListener(kind, () => this.tell());
    this.tiles.addEventListener("click", (event) => number(event) !== undefined && this.openTile(+number(event)));
    this.tiles.addEventListener("keydown", (event) => this.move(event, +number(event)));
  }

  tell(number) {
    this.name.hidden = number === undefined;
    if (this.name.hidden) return;
    this.name.textContent = this.table.photos[this.table.tiles[number][0]].title;
    const { offsetLeft: left, offsetTop: top, offsetHeight: height } = this.buttons[number];
    const room = Math.max(0, this.frame.clientWidth - this.name.offsetWidth);
    const above = top - this.name.offsetHeight - 4;
    this.name.style.left = `${Math.min(left, room)}px`;
    this.name.style.top = `${above < 0 ? top + height + 4 : above}px`;
  }

  focus(number) {
    for (const button of this.buttons) button.tabIndex = -1;
    this.buttons[number].tabIndex = 0;
    this.buttons[number].focus({ preventScroll: false });
  }

  move(event, number) {
    const last = this.buttons.length - 1;
    const to = {
      ArrowRight: Math.min(number + 1, last), ArrowLeft: Math.max(number - 1, 0), Home: 0, End: last,
      ArrowDown: this.below(number, 1), ArrowUp: this.below(number, -1),
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.focus(to);
  }

  // The nearest tile of the next row, downwards (1) or upwards (-1); itself at the edge.
  below(number, way) {
    const middle = ([, left, top, side]) => [left + side / 2, top + side / 2]; // some have a frame around them
    const [across, here] = middle(this.table.tiles[number]);
    let [best, least] = [number, Infinity];
    this.table.tiles.forEach((tile, other) => {
      const [otherAcross, otherHere] = middle(tile);
      const down = way * (otherHere - here);
      const far = 100 * down + Math.abs(otherAcross - across);
      if (down > 1 && far < least) [best, least] = [other, far];
    });
    return best;
  }

  makeDialog() {
    const button = (text, act) => {
      const made = make("button", { type: "button", textContent: text });
      made.addEventListener("click", act);
      return made;
    };
    const heading = make("h2", { tabIndex: -1 });
    heading.setAttribute("aria-live", "polite");
    this.parts = {
      heading, photo: make("canvas"), facts: make("dl"), has: make("p"), near: make("ol"),
      nearTitle: make("h3", { textContent: "Most alike to the network (fc7)" }),
      back: button("Back", () => this.show(...this.trail.pop())),
      before: button("← Previous", () => this.step(-1)), after: button("Next →", () => this.step(1)),
    };
    const { photo, facts, has, near, nearTitle, back, before, after } = this.parts;
    photo.setAttribute("role", "img");
    const close = button("Close", () => this.dialog.close());
    const dialog = make(
      "dialog", { className: "closer" },
      make("div", { className: "closer-bar" }, heading, close),
      make("div", { className: "closer-body" }, photo, make("div", {}, facts, has)),
      nearTitle, near, make("div", { className: "closer-steps" }, before, back, after),
    );
    dialog.setAttribute("aria-label", "A closer look");
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.focus(this.number));
    dialog.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) this.step(way);
      if (way) event.preventDefault();
      event.stopPropagation();
    });
    return dialog;
  }

  openTile(number) {
    this.trail = [];
    this.number = number;
    this.show(this.table.tiles[number][0], number);
    if (!this.dialog.open) this.dialog.showModal();
    this.parts.heading.focus();
  }

  step(way) {
    const number = this.number + way;
    if (number >= 0 && number < this.buttons.length) this.openTile(number);
  }

  // Show a photo: as it stands on the sheet at tile `number`, or one that is only near (no number).
  show(photo, number) {
    const { parts, table } = this;
    const known = table.photos[photo];
    this.shown = [photo, number];
    parts.heading.textContent = known.title;
    parts.photo.setAttribute("aria-label", `The photo: ${known.title}`);
    this.draw(parts.photo, photo, number);
    parts.facts.replaceChildren(...known.facts.flatMap(([fact, value]) => [
      make("dt", { textContent: fact }), make("dd", { textContent: value }),
    ]));
    parts.has.textContent = known.has.length ? `Shows: ${known.has.join(", ")}.` : "";
    parts.near.replaceChildren(...known.near.map((other) => this.nearOne(other)));
    parts.nearTitle.hidden = parts.near.hidden = !known.near.length;
    parts.back.hidden = !this.trail.length;
    parts.before.disabled = this.number === 0;
    parts.after.disabled = this.number === this.buttons.length - 1;
  }

  nearOne(photo) {
    const canvas = make("canvas");
    const button = make("button", { type: "button" }, canvas, this.table.photos[photo].brief);
    button.setAttribute("aria-label", this.table.photos[photo].title);
    this.draw(canvas, photo);
    button.addEventListener("click", () => {
      this.trail.push(this.shown);
      const number = this.table.tiles.findIndex((tile) => tile[0] === photo);
      this.show(photo, number < 0 ? undefined : number);
      this.parts.heading.focus();
    });
    return make("li", {}, button);
  }

  // Draw a photo from its thumbnail, or from the sheet's own pixels where those are to be shown or are all there is.
  async draw(canvas, photo, number) {
    const { photos, tiles, size } = this.table;
    const { at, small } = photos[photo];
    const tile = tiles[number] ?? tiles.find((one) => one[0] === photo);
    const wanted = (canvas.dataset.wanted = `${photo} ${number}`);
    const own = tile && (tile[4] || !at);
    const picture = own ? this.image : at && (await this.sprite(at[0]));
    if (canvas.dataset.wanted !== wanted) return; // another one was asked for meanwhile
    canvas.hidden = !picture;
    if (!picture) return;
    const [, left, top, side] = own ? tile : at;
    const scale = own ? this.image.naturalWidth / size[0] : 1;
    thumbnail(canvas, picture, { scale, left, top, side }, small ? 48 : 0);
  }

  // Decode a sprite when it is first needed.
  sprite(number) {
    this.sprites[number] ??= (async () => {
      const picture = make("img", { src: this.table.sprites[number] });
      await picture.decode();
      return picture;
    })();
    return this.sprites[number];
  }

  remove() {
    for (const part of [this.tiles, this.name, this.dialog]) part.remove();
  }
}

export function inspect(frame, image, table) {
  return table.tiles?.length ? new Inspected(frame, image, table) : null;
}

function render({ model, el }) {
  const image = make("img", { className: "selfie-picture" });
  const frame = make("div", { className: "closer-frame selfie-alive" }, image);
  // Arrows and Enter are ours, not JupyterLab's, which looks for this mark; Ctrl+S and the like stay its own.
  const claim = (event) => frame.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey));
  window.addEventListener("keydown", claim, true);
  el.append(frame);
  let shown = null;
  const draw = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("value")], { type: "image/jpeg" }));
    image.alt = model.get("alt");
  };
  const look = () => {
    shown?.remove();
    shown = inspect(frame, image, model.get("table"));
  };
  model.on("change:value", draw);
  model.on("change:table", look);
  draw();
  look();
  return () => {
    window.removeEventListener("keydown", claim, true);
    URL.revokeObjectURL(image.src);
  };
}

export default { render };
