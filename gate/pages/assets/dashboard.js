// The dashboard: one stream, one table whose rows are made once. Between two messages balances fall by themselves, and only
// the rows that can be seen are touched.
import { bars } from "./bars.js";
import { $, make, say } from "./dom.js";
import { Refused } from "./gate.js";
import { forget, read, write } from "./keep.js";
import { at } from "./lines.js";
import { follow } from "./stream.js";
import { duration, sats, short, STATES, whole } from "./words.js";

const TOKEN = "satbox.operator";
const TICK_MS = 250;
const SORT_MS = 3_000;
const ROWS_A_FRAME = 60;
const STATE_ORDER = { grace: 0, starting: 1, alive: 2, reaped: 3, none: 4 };
const TONES = { alive: "good", grace: "warn", starting: "", reaped: "calm", none: "calm" };
const RUNWAY = ["< 1 min", "< 10 min", "< 1 h", "< 6 h", "< 1 d", "< 7 d", "longer"];

const wallets = new Map(); // address -> { facts, element, cells, seen }
let totals = null;
let totalsAt = 0;
let skew = 0; // the gate's clock less ours
let sort = { by: "runway", down: false };
let ending = null;
let isLive = false;

// One wallet

const VALUES = {
  address: (w) => w.address,
  state: (w) => STATE_ORDER[w.state],
  balance: (w) => now(w).balance - now(w).owed,
  burn: (w) => w.burn,
  runway: (w) => now(w).seconds ?? Infinity,
  burnt: (w) => now(w).burnt,
  size: (w) => w.size,
};

const now = (w) => at(w, Date.now() + skew);

function factsOf([address, state, size, paused, balance, owed, burnt, deposited, burn, seconds, pending, reason], readMs) {
  return { address, state, size, paused, balance, owed, burnt, deposited, burn, seconds, pending, reason, at: readMs };
}

const sights = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.target.wallet.seen = entry.isIntersecting;
});

function learn(facts) {
  let wallet = wallets.get(facts.address);
  if (!wallet) {
    const cells = Array.from({ length: 7 }, (_, index) => make("td", { class: index >= 2 && index <= 5 ? "number" : "" }));
    const element = make("tr", {}, ...cells);
    const link = make("a", { href: `/agent/${encodeURIComponent(facts.address)}`, class: "mono", title: facts.address }, short(facts.address, 10));
    cells[0].append(link);
    cells[1].append(make("span", { class: "dot" }), make("span"));
    wallet = { facts, element, cells, seen: false };
    element.wallet = wallet;
    wallets.set(facts.address, wallet);
    sights.observe(element);
  }
  wallet.facts = facts;
  wallet.text = `${facts.address} ${STATES[facts.state]} ${facts.size} ${facts.reason ?? ""}`.toLowerCase();
  const [, state, , burn, , , size] = wallet.cells;
  if (state.firstChild.dataset.state !== facts.state) state.firstChild.dataset.state = facts.state;
  say(state.lastChild, (facts.paused ? "Frozen" : STATES[facts.state]) + (facts.pending ? " · payment under way" : ""));
  say(burn, facts.burn ? sats(facts.burn * 3600) : "–");
  say(size, facts.size);
  tickRow(wallet);
}

function tickRow({ facts, cells }) {
  const { balance, owed, burnt, seconds } = now(facts);
  say(cells[2], owed ? `−${sats(owed)}` : sats(balance));
  say(cells[4], seconds === null ? "–" : duration(seconds));
  say(cells[5], sats(burnt));
}

// All wallets

let wanted = [];
let placing = 0;

function arrange() {
  const words = $("search").value.trim().toLowerCase();
  const value = VALUES[sort.by];
  const kept = [...wallets.values()].filter((wallet) => !words || wallet.text.includes(words));
  const keys = new Map(kept.map((wallet) => [wallet, value(wallet.facts)]));
  kept.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    const order = x < y ? -1 : x > y ? 1 : a.facts.address < b.facts.address ? -1 : 1;
    return sort.down ? -order : order;
  });
  wanted = kept;
  say($("shown"), kept.length === wallets.size ? whole(kept.length) : `${whole(kept.length)} of ${whole(wallets.size)}`);
  cancelAnimationFrame(placing);
  place(0);
}

/** Bring the table into the wanted order, so many rows a frame, moving only those that are out of place. */
function place(from) {
  const body = $("rows");
  let moved = 0;
  let index = from;
  let current = index ? wanted[index - 1].element.nextElementSibling : body.firstElementChild;
  for (; index < wanted.length && moved < ROWS_A_FRAME; index += 1) {
    const element = wanted[index].element;
    if (element === current) current = current.nextElementSibling;
    else {
      body.insertBefore(element, current);
      moved += 1;
    }
  }
  if (index < wanted.length) {
    placing = requestAnimationFrame(() => place(index));
    return;
  }
  while (current) {
    const next = current.nextElementSibling;
    current.remove();
    current = next;
  }
}

function tick() {
  if (document.hidden || !isLive) return; // nobody knows what they burn meanwhile
  for (const wallet of wallets.values()) if (wallet.seen && wallet.facts.burn) tickRow(wallet);
  if (totals) {
    const seconds = Math.max(0, (Date.now() + skew - totalsAt) / 1000);
    say($("t-balance"), sats(Math.max(0, totals.balance_usat - totals.burn_usat_per_second * seconds)));
    say($("t-burnt"), sats(totals.burnt_usat + totals.burn_usat_per_second * seconds));
  }
}

// The rest

function showTotals() {
  const states = totals.states;
  say($("t-wallets"), whole(totals.wallets));
  say($("t-alive"), whole((states.alive ?? 0) + (states.grace ?? 0)));
  say($("t-burn"), sats(totals.burn_usat_per_second * 3600));
  say($("t-owed"), sats(totals.owed_usat));
  say($("t-earned"), sats(totals.earned_usat - totals.call_fees_usat));
  say($("t-fees"), sats(totals.call_fees_usat));
  const names = Object.keys(STATES).filter((name) => states[name]);
  bars($("p-states"), names.map((name) => ({ label: STATES[name], share: states[name] / totals.wallets, text: whole(states[name]), tone: TONES[name] })), "No wallets yet");
  const most = Math.max(1, ...totals.runway);
  bars($("p-runway"), totals.runway.map((count, index) => ({ label: RUNWAY[index], share: count / most, text: whole(count), tone: index === 0 && count ? "warn" : "" })));
}

function showBeside({ settlements, capacity, sources, errors, calls_per_minute: calls }) {
  say($("t-calls"), calls === null ? "–" : whole(calls));
  const payments = Object.entries(settlements ?? {});
  const all = payments.reduce((sum, [, count]) => sum + count, 0);
  const tones = { confirmed: "good", failed: "bad", replaced: "bad", outbox: "calm" };
  bars($("p-settlements"), payments.map(([name, count]) => ({ label: name === "outbox" ? "to tell wallets" : name, share: all ? count / all : 0, text: whole(count), tone: tones[name] ?? "" })), "Settlements do not answer");
  bars($("p-capacity"), Object.entries(capacity ?? {}).map(([name, { total, used, reserved }]) => ({
    label: name,
    share: total ? (used + reserved) / total : 0,
    text: `${whole(used)}${reserved ? ` + ${whole(reserved)}` : ""} of ${whole(total)}`,
    tone: used + reserved >= total ? "warn" : "calm",
  })), "The node does not answer");
  bars($("p-sources"), (sources ?? []).map(({ name, age_seconds: age, error }) => ({
    label: name,
    share: age === null ? 1 : Math.min(1, age / 120),
    text: error ? "fails" : age === null ? "silent" : duration(age),
    tone: error || age === null ? "bad" : "calm",
  })), "The oracle does not answer");
  const most = Math.max(1, ...errors.map(({ count }) => count));
  bars($("p-errors"), errors.slice(0, 7).map(({ code, count }) => ({ label: code, share: count / most, text: whole(count), tone: "calm" })), "None");
}

function hear(message) {
  skew = message.at_ms - Date.now();
  totals = message.totals;
  totalsAt = message.at_ms;
  for (const row of message.rows) learn(factsOf(row, message.at_ms));
  for (const address of message.gone) {
    const wallet = wallets.get(address);
    if (wallet) sights.unobserve(wallet.element);
    wallets.delete(address);
  }
  if (message.rows.length || message.gone.length) arrange();
  showTotals();
  if (message.beside) showBeside(message.beside);
}

function told(state) {
  isLive = state === "live";
  $("live-dot").dataset.state = isLive ? "alive" : "grace";
  say($("live"), isLive ? "Live" : "No connection; trying again");
}

async function open(token) {
  ending?.abort();
  ending = new AbortController();
  $("refused").hidden = true;
  try {
    await follow("/pages/overview", token, (message) => {
      if ($("board").hidden) {
        write(sessionStorage, TOKEN, token);
        $("entry").hidden = true;
        $("board").hidden = false;
      }
      hear(message);
    }, told, ending.signal);
  } catch (error) {
    forget(sessionStorage, TOKEN);
    $("entry").hidden = false;
    $("board").hidden = true;
    $("live-dot").dataset.state = "";
    say($("live"), "Not connected");
    say($("refused"), error instanceof Refused ? `${error.message} Is it the operator's token?` : error.message);
    $("refused").hidden = false;
  }
}

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  $("token").value = "";
  open(token);
});
$("search").addEventListener("input", arrange);
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const by = button.dataset.sort;
    sort = { by, down: sort.by === by ? !sort.down : ["balance", "burn", "burnt"].includes(by) };
    markSort();
    arrange();
  });
}

function markSort() {
  for (const button of document.querySelectorAll("[data-sort]")) {
    const isBy = button.dataset.sort === sort.by;
    button.parentElement.setAttribute("aria-sort", isBy ? (sort.down ? "descending" : "ascending") : "none");
  }
}

markSort();
setInterval(tick, TICK_MS);
setInterval(() => !document.hidden && ["balance", "runway", "burnt"].includes(sort.by) && arrange(), SORT_MS);
const kept = read(sessionStorage, TOKEN);
if (kept) open(kept);
