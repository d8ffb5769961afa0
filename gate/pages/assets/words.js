// Amounts and times as people read them: what gate/pages/words.py says, in a browser. Micro-sats fit a number: 2^53 usat is
// ninety bitcoins.
const UNITS = { sBTC: 1, STX: 1e6, USDCx: 1e6 };
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function sats(usat, decimals = 2) {
  const cut = Math.trunc(usat / 10 ** (6 - decimals)) / 10 ** decimals; // a product would lose a hundredth of 75.60
  return cut.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

// What a journal entry did to a wallet: its credit less its debt, or what moved from one to the other.
export function moved({ bucket = 0, owed = 0 }) {
  return bucket + owed || bucket;
}

export function signed(usat, decimals) {
  return `${usat > 0 ? "+" : ""}${sats(usat, decimals)}`;
}

/** What a wallet burns an hour as it is now; one that does not run, what it will. */
export function burns({ rate_usat_per_second: now, plan_rate_usat_per_second: usual }) {
  return [sats((now || usual) * 3600), now ? "sats an hour" : "sats an hour when it runs"];
}

export function whole(number) {
  return grouped.format(number);
}

export function coins(symbol, units) {
  if (symbol === "sBTC") return `${whole(units)} ${units === 1 ? "sat" : "sats"}`;
  return `${(units / UNITS[symbol]).toLocaleString("en-US", { maximumFractionDigits: 6 })} ${symbol}`;
}

export function duration(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(left / size);
    left %= size;
    if (count || (unit === "s" && !parts.length)) parts.push(`${whole(count)} ${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

export function ago(iso) {
  const seconds = Math.max(0, Date.now() - Date.parse(iso)) / 1000;
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    const count = Math.floor(seconds / size);
    if (count) return `${whole(count)} ${unit}${count > 1 ? "s" : ""} ago`;
  }
  return "just now";
}

export function short(text, edge = 6) {
  return text.length <= 2 * edge + 4 ? text : `${text.slice(0, edge)}…${text.slice(-edge)}`;
}

export const STATES = { none: "No sandbox", starting: "Starting", alive: "Alive", grace: "Grace", reaped: "Asleep" };

/** An ISO 8601 time to the second, with its zone: not everybody lives in it. */
export const moment = (at) => `${at.slice(0, 19).replace("T", " ")} UTC`;

/** What an entry of the journal refers to: an id, also where it is said among other things, as of a dispute. */
export function referenceOf({ reference }) {
  try {
    return JSON.parse(reference)?.dispute_id ?? reference ?? "";
  } catch {
    return reference ?? "";
  }
}
