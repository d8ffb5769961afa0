// The few things pages do to a document. Text goes in as text: no markup is ever made from strings.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set an element's text only when it differs: a page that ticks touches little. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A table; `heads` are [label, whether numbers are below it]. */
export function table(heads, rows, nothing) {
  if (!rows.length) return make("p", { class: "hint" }, nothing);
  const head = make("tr", {}, ...heads.map(([label, isNumber]) => make("th", { scope: "col", class: isNumber ? "number" : null }, label)));
  return make("div", { class: "scrolls" }, make("table", { class: "list-table" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

/** Call `work` every `ms` while the page can be seen, and at once when it is seen again. */
export function whileSeen(ms, work) {
  let timer = null;
  const run = () => {
    clearTimeout(timer);
    if (document.hidden) return;
    work();
    timer = setTimeout(run, ms);
  };
  document.addEventListener("visibilitychange", run);
  run();
}
