// The gate passes that this tab keeps, each under the agent that the pass itself names, whatever page it was pasted on.
import { read, write } from "./keep.js";

const PASSES = "satbox.passes";
const KEPT_MAX = 8;
const FORM = /[\w-]+\.[\w-]+\.[\w-]+/; // quotes around it are no part of it
const BEARER = /^\s*bearer\s+/i;
const UNSEEN = /[\s\u200b-\u200f\u2060\ufeff]/g; // what a terminal or a chat puts into a long line

export const NO_PASS = "That is no gate pass: one is what `satbox prove` prints, three parts with dots between them.";

let memory = []; // of a browser that keeps nothing for a page

const all = () => read(sessionStorage, PASSES) ?? memory;

function save(passes) {
  memory = passes;
  write(sessionStorage, PASSES, passes);
}

/** The pass in a text that somebody pasted: { token, address, scope }, or null. Whether it is good is the gate's to say. */
export function parsed(text) {
  const token = FORM.exec(text.replace(BEARER, "").replace(UNSEEN, ""))?.[0];
  try {
    const { sub: address, scp: scope } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return typeof address === "string" && typeof scope === "string" ? { token, address, scope } : null;
  } catch {
    return null;
  }
}

export const keepPass = (pass) => save([pass, ...all().filter(({ address }) => address !== pass.address)].slice(0, KEPT_MAX));

export const forgetPass = (pass) => save(all().filter(({ token }) => token !== pass.token));

/** The pass of an agent, or null. */
export const passOf = (of) => all().find(({ address }) => address === of) ?? null;

/** The newest pass that pays for anybody, or null. */
export const payersPass = () => all().find(({ scope }) => scope === "owner" || scope === "extend") ?? null;
