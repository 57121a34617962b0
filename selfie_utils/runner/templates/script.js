const codeButton = document.getElementById("code-button");
codeButton?.addEventListener("click", () => {
  const shown = document.body.classList.toggle("show-code");
  codeButton.setAttribute("aria-pressed", shown);
  codeButton.textContent = shown ? "Hide code" : "Show code";
});
const zoom = document.getElementById("zoom");
for (const picture of document.querySelectorAll("main figure img")) {
  const open = () => {
    zoom.querySelector("img").src = picture.currentSrc;
    zoom.querySelector("img").alt = picture.alt;
    zoom.showModal();
  };
  const table = picture.parentElement.querySelector(".closer-table");
  if (table) {
    const frame = make("div");
    picture.before(frame);
    frame.append(picture);
    inspect(frame, picture, JSON.parse(table.textContent));
  }
  if (!zoom || picture.naturalWidth <= picture.clientWidth * 1.1) continue;
  if (table) {
    const whole = make("button", { type: "button", textContent: "Whole sheet at full size" });
    whole.className = "whole";
    whole.addEventListener("click", open);
    picture.closest("figure").append(whole);
    continue;
  }
  Object.assign(picture, { tabIndex: 0, title: "Show at full size" });
  picture.setAttribute("role", "button");
  picture.addEventListener("click", open);
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
  });
}
zoom?.addEventListener("click", () => zoom.close());
