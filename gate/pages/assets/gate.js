// Talking to the gate: one deadline, one shape of error. What never arrived is told apart from what was refused.

import { whole } from "./words.js";

const DEADLINE_MS = 40_000;
const REQUEST = /\b(GET|POST|PUT|DELETE|details)\b|(^|\s)\/(?!workspace)[a-z]/;

export class Refused extends Error {
  constructor(status, error, retryAfter) {
    super(error.message);
    Object.assign(this, { status, code: error.code, hint: error.hint, details: error.details ?? {}, moved: error.funds_moved });
    this.retryAfter = retryAfter;
  }
}

/** Nothing came back: the request may or may not have arrived. */
export class Lost extends Error {}

/** Whether an error says no more than that nobody answers just now. */
export const isAway = (error) => !(error instanceof Refused) || error.status >= 500 || error.status === 429;

export async function ask(method, path, { body, headers = {}, deadline = DEADLINE_MS } = {}) {
  const sent = { accept: "application/json", ...headers };
  if (body !== undefined) sent["content-type"] = "application/json";
  let answer, text;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(deadline),
    });
    text = await answer.text();
  } catch {
    throw new Lost("The gate did not answer.");
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Lost("The gate's answer cannot be read.");
  }
  if (answer.status === 402 && value.x402Version) return { status: 402, value };
  if (!answer.ok) {
    const error = value.error ?? { code: `http_${answer.status}`, message: `The gate answered ${answer.status}.` };
    throw new Refused(answer.status, error, Number(answer.headers.get("retry-after")) || null);
  }
  return { status: answer.status, value };
}

/** A refusal's hint where it helps a person: those that name a request are for programs. */
export const hintOf = ({ hint, details }) =>
  details?.limit_bytes ? `The limit is ${whole(details.limit_bytes)} bytes.` : hint && !REQUEST.test(hint) ? hint : "";

/** Why a fetch was refused. */
export async function refusal(answer) {
  const { error } = await answer.json().catch(() => ({}));
  return new Refused(answer.status, error ?? { code: `http_${answer.status}`, message: `The gate answered ${answer.status}.` }, null);
}

export function bearer(token) {
  // A header holds no such thing; fetch would fail as if nobody had answered.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Refused(401, { code: "pass_invalid", message: "That is neither a pass nor a token: it holds characters that none has.", funds_moved: false }, null);
  return { authorization: `Bearer ${token}` };
}

/** Wait, or until the browser is online again, whichever is first. */
export function pause(ms) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
  });
}
