// One payment from a signature to its end, so that nothing is ever paid twice: the signed bytes are kept in this browser before
// they are sent, whatever was lost on the way is answered by sending the same bytes again, and only a final word forgets them.
import { ask, Lost, pause, Refused } from "./gate.js";
import { forget, read, write } from "./keep.js";

const POLL_MS = 1_000;
const POLL_LATER_MS = 5_000;
const SLOW_MS = 5_000; // after this a person wants to know why
const LATER_MS = 30_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000];
const ANEW = "Press the button to sign a new payment.";
// Two payments of one wallet at one moment, for the same amount, are the same bytes: one transfer, which one agent got.
const ELSEWHERE = "Your wallet signed the same transfer for both, and it was made once. Press the button to sign one for this agent.";
const NEXT = {
  rebuild_and_resign: ANEW,
  start_new_payment: ANEW,
  retry_later: "Try again in a few minutes.",
  fix_and_resend: "The gate did not take it as it was signed. Choose another coin or wallet.",
};
const FAILED = new Set(["failed", "replaced", "not_found"]);
const COME_AGAIN = new Set(["rate_limited", "overloaded", "timeout", "internal", "node_unavailable"]);

const name = (address) => `satbox.payment.${address}`;

/** The payment for a wallet that is under way in this browser, or null. */
export const underWay = (address) => read(localStorage, name(address));

/** Keep a signed payment. Raises when this browser keeps nothing, or another one: then nothing may be sent either. */
export function keep(address, payment) {
  const kept = underWay(address);
  if (kept && kept.header !== payment.header) throw new Error("Another payment is under way from this browser. Nothing was sent.");
  if (!write(localStorage, name(address), payment)) {
    throw new Error("This browser keeps nothing for this page (a private window?), so a lost answer could cost you twice. Nothing was sent.");
  }
}

/** Do `work` unless another tab of this browser is paying for this wallet; answers whether it was done. */
export async function alone(address, work) {
  if (!navigator.locks) {
    await work();
    return true;
  }
  return navigator.locks.request(name(address), { ifAvailable: true }, async (lock) => {
    if (lock) await work();
    return Boolean(lock);
  });
}

export const drop = (address) => forget(localStorage, name(address));

/** The 402 of a paid request: what it offers, by asset. */
export async function offers(path, body, auth) {
  const { status, value } = await ask("POST", path, { body, headers: auth });
  if (status !== 402) throw new Error("The gate asks for no payment.");
  return { resource: value.resource, entries: new Map(value.accepts.map((entry) => [entry.asset, entry])) };
}

/** An offer and a signed transaction as the `payment-signature` header (x402 v2). */
export function header(entry, resource, transaction) {
  const text = JSON.stringify({ x402Version: 2, accepted: entry, resource, payload: { transaction } });
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/**
 * Present what is kept until the gate has it, then follow it to its end; also after a reload. `tell(step, detail)` hears:
 * sending, slow, lost, settled, confirmed. Returns the payment's status. Raises Refused when nothing was paid.
 */
export async function settle(address, auth, tell) {
  const payment = underWay(address);
  for (let tries = 0; !payment.paymentId; tries += 1) {
    try {
      tell("sending");
      const headers = { ...auth, "payment-signature": payment.header };
      const before = payment.sent;
      payment.sent = true;
      keep(address, payment);
      try {
        const { value } = await ask("POST", payment.path, { body: payment.body, headers });
        payment.paymentId = value.paymentId;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.code === "payment_target_conflict") {
          drop(address);
          throw new Refused(409, { code: error.code, message: "This payment went to another agent.", hint: ELSEWHERE }, null);
        }
        if (error.details.paymentId && error.moved !== false) payment.paymentId = error.details.paymentId;
        else if (error.moved !== false || COME_AGAIN.has(error.code)) throw new Lost(error.message);
        else {
          // Who may not ask now is told nothing about bytes that were sent before: those stay until somebody may.
          const isUntold = before && (error.status === 401 || error.status === 403) && error.code !== "payer_on_hold";
          if (!isUntold) drop(address);
          throw error;
        }
      }
      keep(address, payment);
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      tell("lost", error.message);
      await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
    }
  }
  return await follow(address, payment.paymentId, tell);
}

async function follow(address, paymentId, tell) {
  const began = performance.now();
  for (;;) {
    const passed = performance.now() - began;
    try {
      const { value } = await ask("GET", `/payment-status/${encodeURIComponent(paymentId)}`, { deadline: 10_000 });
      if (FAILED.has(value.status)) {
        drop(address);
        const why = NEXT[value.nextSteps] ?? ANEW;
        throw new Refused(422, { code: "payment_failed", message: "The payment did not go through.", hint: why, funds_moved: false });
      }
      tell(value.status === "confirmed" ? "confirmed" : value.status === "mempool" ? "settled" : passed > SLOW_MS ? "slow" : "sending", value);
      if (value.status === "confirmed") {
        drop(address);
        return value;
      }
    } catch (error) {
      if (error instanceof Refused && !COME_AGAIN.has(error.code)) throw error;
      if (!(error instanceof Refused)) tell("lost", error.message);
    }
    await pause(passed > LATER_MS ? POLL_LATER_MS : POLL_MS);
  }
}
