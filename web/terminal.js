// xterm.js, made to live under a policy that allows no inline style: what it would put into <style> elements becomes
// constructed style sheets, which are script's and not markup's.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

function styleElement(make) {
  const element = make("span");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (value) => sheet.replaceSync((text = String(value ?? ""))),
  });
  element.hidden = true;
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    HTMLElement.prototype.remove.call(element);
  };
  return element;
}

const make = document.createElement.bind(document);
document.createElement = (name, options) => (String(name).toLowerCase() === "style" ? styleElement(make) : make(name, options));

export { FitAddon, Terminal };
