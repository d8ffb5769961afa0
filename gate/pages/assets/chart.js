// A balance over time, drawn by hand: steps up where money came, slopes where seconds burnt.
import { make } from "./dom.js";
import { ago, sats } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 200;

function node(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Draw `points` ([wall ms, micro-sats, kind]), ending in `last`, into `place`; `note` gets the words for it. */
export function drawBalance(place, note, points, last) {
  const all = [...points, last];
  if (all.length < 2) {
    place.replaceChildren(make("p", { class: "hint" }, "Nothing has happened yet."));
    return;
  }
  const from = all[0][0];
  const until = Math.max(last[0], from + 1_000);
  const most = Math.max(1, ...all.map(([, usat]) => usat)) * 1.08;
  const x = (at) => ((Math.min(at, until) - from) / (until - from)) * WIDTH;
  const y = (usat) => HEIGHT - (usat / most) * HEIGHT;
  const path = [];
  let before = null;
  for (const [at, usat, kind] of all) {
    const isRise = before !== null && usat > before[1];
    if (isRise) path.push(`L${x(at).toFixed(1)} ${y(before[1]).toFixed(1)}`);
    path.push(`${path.length ? "L" : "M"}${x(at).toFixed(1)} ${y(usat).toFixed(1)}`);
    before = [at, usat, kind];
  }
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const words = `Balance since ${ago(new Date(from).toISOString())}: now ${sats(last[1])} sats, at most ${sats(most / 1.08)}.`;
  svg.append(node("title", {}, words));
  for (const share of [0, 0.5, 1]) svg.append(node("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share }));
  svg.append(node("path", { class: "area", d: `${path.join("")}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }));
  svg.append(node("path", { class: "line", d: path.join("") }));
  place.replaceChildren(svg);
  note.textContent = words;
}
