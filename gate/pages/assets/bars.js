// Rows of label, bar and number, drawn once and changed in place.
import { make, say } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

function bar() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 8");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const width of [100, 0]) {
    const rect = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ width, height: 8, rx: 2 })) rect.setAttribute(name, value);
    svg.append(rect);
  }
  return svg;
}

/** Show `items`, [{ label, share (0..1), text, tone }], in `place`. */
export function bars(place, items, nothing = "Nothing yet") {
  let box = place.firstElementChild;
  if (!items.length) {
    if (box?.className !== "hint") place.replaceChildren(make("p", { class: "hint" }, nothing));
    return;
  }
  if (box?.className !== "bars") place.replaceChildren((box = make("div", { class: "bars" })));
  while (box.children.length > items.length) box.lastChild.remove();
  while (box.children.length < items.length) {
    box.append(make("div", {}, make("span", { class: "label" }), bar(), make("span")));
  }
  items.forEach(({ label, share, text, tone = "" }, index) => {
    const row = box.children[index];
    if (row.className !== tone) row.className = tone;
    say(row.children[0], label);
    row.children[0].title = label;
    const width = String(Math.round(Math.min(1, Math.max(0, share)) * 1000) / 10);
    const rect = row.children[1].lastChild;
    if (rect.getAttribute("width") !== width) rect.setAttribute("width", width);
    say(row.children[2], text);
  });
}
