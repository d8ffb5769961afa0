// The wake link that a page was opened with, and what it may do.
import { ask, isAway, pause } from "./gate.js";
import { calm, trouble } from "./steps.js";

const RETRY_MS = 2_000;

/** The wake link in the page's address, or null. */
function linkToken() {
  const text = location.hash.slice(1);
  if (!text.startsWith("swl_")) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let wanted = null; // the link that is being read
let isReading = false;
let link = null; // { token, info }

/** The link of this page, or null; what it may do may not be known yet. */
export const given = () => link;

export const isReadingLink = () => isReading;

/** Learn what the link may do. Until that is known nothing is offered in its place; of a link that is known, what it could do before stays. */
export async function readLink(address) {
  const token = linkToken();
  if (!token) return;
  if (!/^[\x21-\x7e]+$/.test(token)) { // no header takes it
    link = null;
    return trouble("This wake link is not whole", "Open it once more as you were given it.");
  }
  const isNew = link?.token !== token;
  wanted = token;
  isReading ||= isNew;
  for (;;) {
    try {
      const { value } = await ask("GET", "/sandbox/wake-links/info", { headers: { "x-satbox-wake-link": token }, deadline: 10_000 });
      if (wanted !== token) return;
      if (isNew) calm();
      link = value.address === address ? { token, info: value } : null;
      if (!link) trouble("This link is for another agent", "It wakes somebody else; nothing was done.");
      break;
    } catch (error) {
      if (wanted !== token || (isAway(error) && !isNew)) return;
      link = null;
      if (!isAway(error)) {
        trouble("This wake link is not good any more", "It was revoked, or its time is over. Ask the agent for a new one.");
        break;
      }
      trouble("No connection", "The gate has not said yet what this wake link may do. The page asks again by itself.");
      await pause(RETRY_MS);
    }
  }
  isReading = false;
}
