// The steps of what is under way on a page, each ticked when it is true, and what went wrong.
import { $, make, say } from "./dom.js";

const STEPS = {
  prove: "Prove who pays",
  sign: "Sign in your wallet",
  settle: "Settle",
  confirm: "Confirmed",
  start: "Starting",
  alive: "Alive",
};
let steps = new Map();

export function showSteps(names) {
  steps = new Map(names.map((name) => [name, make("li", { "data-step": name }, make("span", {}, STEPS[name]), make("small"))]));
  $("steps").replaceChildren(...steps.values());
  $("steps").hidden = false;
  $("trouble").hidden = true;
}

export function mark(name, state, detail = "") {
  const item = steps.get(name);
  if (!item) return;
  if (item.dataset.state !== state) item.dataset.state = state;
  say(item.lastChild, detail);
}

export function trouble(title, text, ...more) {
  $("trouble").replaceChildren(make("strong", {}, title), make("p", {}, text), ...more);
  $("trouble").hidden = false;
}

export const calm = () => { $("trouble").hidden = true; };

export const isShown = (name) => steps.has(name);

export const stateOf = (name) => steps.get(name)?.dataset.state;

/** What was under way has failed. */
export function failSteps() {
  for (const [name, item] of steps) if (item.dataset.state === "now") mark(name, "failed");
}
