// The wake page, live: one button that wakes with credit when a link or the owner's pass allows it, and pays otherwise.
import { $, make, say, whileSeen } from "./dom.js";
import { ask, bearer, Lost, Refused } from "./gate.js";
import { forget, read, write } from "./keep.js";
import { alone, drop, header, keep, offers, settle, underWay } from "./payment.js";
import { ago, burns, coins, duration, sats, STATES, whole } from "./words.js";

const page = $("main").dataset;
const tokens = JSON.parse(page.tokens);
const PASS = "satbox.pass";
const LOOK_MS = 4_000;
const LOOK_SOON_MS = 700;

let wallet = JSON.parse(page.wallet);
let lookedAt = performance.now();
let link = null; // { token, info }
let pass = read(sessionStorage, PASS);
let busy = false;
let rathersPaying = false;
let wallets = [];

// What is known

function claims(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}

const isOwner = () => pass !== null && pass.address === page.address && pass.scope === "owner";
const isUp = () => ["alive", "grace", "starting"].includes(wallet.state);
const hasCredit = () => wallet.state === "reaped" && wallet.balance_usat >= wallet.wake_usat;
const linkWakes = () => Boolean(link?.info.scopes.includes("wake")) && link.info.wakes_left_today > 0;
const linkPays = () => Boolean(link?.info.scopes.includes("topup"));
const wakesWithCredit = () => hasCredit() && (isOwner() || linkWakes()) && !rathersPaying;
const payingWakes = () => wallet.state === "reaped" && (wallet.gift_wakes || linkPays());
const auth = () => (linkPays() ? { "x-satbox-wake-link": link.token } : pass ? bearer(pass.token) : null);

function chosenSeconds() {
  const span = new FormData($("form")).get("span");
  if (span !== "custom") return Number(span);
  const hours = Math.min(8760, Math.max(1, Math.round(Number($("hours").value) || 1)));
  return hours * 3600;
}

const satsFor = (seconds) =>
  Math.max(1, Math.ceil((wallet.owed_usat + wallet.plan_rate_usat_per_second * seconds) / 1e6));

function chosenCoin() {
  return document.querySelector('input[name="coin"]:checked');
}

const unitsFor = (coin, amount) =>
  coin.value === "sBTC" ? amount : Math.ceil((amount * Number(coin.dataset.ppm)) / 1e6);

// What is shown

function balanceNow() {
  const passed = (performance.now() - lookedAt) / 1000;
  return Math.max(0, wallet.balance_usat - wallet.rate_usat_per_second * passed);
}

function tick() {
  if (document.body.dataset.offline === "yes") return; // nobody knows what it burns meanwhile
  say($("balance"), sats(balanceNow()));
  const passed = wallet.rate_usat_per_second ? (performance.now() - lookedAt) / 1000 : 0;
  const left = wallet.grace_seconds_left !== null && !wallet.is_held_by_payment ? wallet.grace_seconds_left : wallet.seconds_left;
  say($("runway"), left === null ? "—" : duration(left - passed));
}

function draw() {
  say($("state"), STATES[wallet.state]);
  say($("sentence"), wallet.sentence);
  $("dot").dataset.state = wallet.state;
  const [amount, unit] = burns(wallet);
  say($("burns"), amount);
  say($("burns-unit"), unit);
  $("owed").hidden = wallet.owed_usat === 0;
  if ($("wake-title")) say($("wake-title"), isUp() ? `Give ${page.name} more time` : `Wake ${page.name}`);
  if (wallet.owed_usat) say($("owed"), `It owes ${sats(wallet.owed_usat)} sats for its last minutes; they come first out of the next payment.`);
  tick();
  if ($("form")) drawForm();
}

function drawForm() {
  const isFree = wakesWithCredit();
  for (const id of ["how-long", "pay-with", "which-wallet"]) $(id).hidden = isFree || (id === "which-wallet" && wallets.length < 2);
  const canChoose = hasCredit() && (isOwner() || linkWakes()) && (linkPays() || isOwner());
  $("rather-pay").hidden = !canChoose || busy;
  say($("rather-pay"), rathersPaying ? "Wake it with the credit it has" : "Add time instead");
  const note = $("with-credit");
  note.hidden = !isFree;
  if (isFree) say(note, `It has ${sats(wallet.balance_usat)} sats of credit left, good for ${duration(wallet.seconds_left ?? 0)}. Waking it asks for no payment.`);
  const amount = satsFor(chosenSeconds());
  for (const cell of document.querySelectorAll("small[data-span]")) {
    const seconds = cell.previousElementSibling.textContent === "Custom" ? customSeconds() : Number(cell.dataset.span);
    const owned = satsFor(seconds);
    say(cell, `${whole(owned)} ${owned === 1 ? "sat" : "sats"}`);
  }
  for (const cell of document.querySelectorAll("td[data-coin]")) {
    const coin = $(`coin-${cell.dataset.coin}`);
    say(cell, coins(coin.value, unitsFor(coin, satsFor(Number(cell.dataset.span)))));
  }
  $("hours-label").hidden = new FormData($("form")).get("span") !== "custom";
  const coin = chosenCoin();
  const price = coin ? coins(coin.value, unitsFor(coin, amount)) : "";
  const verb = isUp() ? "Add time" : isFree || payingWakes() ? "Wake it" : "Give it credit";
  const go = $("go");
  go.disabled = busy || (!isFree && (!coin || !wallets.length));
  say(go, busy ? "Working…" : isFree ? verb : `${verb} · ${price}`);
  say($("why"), isFree ? "" : whyNot());
}

function customSeconds() {
  return Math.min(8760, Math.max(1, Math.round(Number($("hours").value) || 1))) * 3600;
}

function whyNot() {
  if (!wallets.length) return "To pay from here, install Leather or Xverse in this browser, then reload the page.";
  if (wallet.state === "reaped" && !payingWakes()) return "Its owner put it to sleep, so a gift does not wake it: it is kept as credit. Only the owner, or a wake link, wakes it.";
  if (link && !linkPays() && !pass) return "This link may wake it, but not pay. Paying makes it a gift: your wallet first proves that you are a Genesis agent.";
  if (!auth()) return "A gift: your wallet first signs two messages that prove you are a registered Genesis agent, then the payment.";
  return "Your wallet signs one transfer; the network's fee is not yours.";
}

const STEPS = {
  prove: "Prove who pays",
  sign: "Sign in your wallet",
  settle: "Settle",
  confirm: "Confirmed",
  start: "Starting",
  alive: "Alive",
};
let steps = new Map();

function showSteps(names) {
  steps = new Map(names.map((name) => [name, make("li", { "data-step": name }, make("span", {}, STEPS[name]), make("small"))]));
  $("steps").replaceChildren(...steps.values());
  $("steps").hidden = false;
  $("trouble").hidden = true;
}

function mark(name, state, detail = "") {
  const item = steps.get(name);
  if (!item) return;
  if (item.dataset.state !== state) item.dataset.state = state;
  say(item.lastChild, detail);
}

function trouble(title, text, ...more) {
  $("trouble").replaceChildren(make("strong", {}, title), make("p", {}, text), ...more);
  $("trouble").hidden = false;
}

function explain(error) {
  if (error instanceof Refused) {
    const moved = error.moved === false ? "Nothing was paid. " : "";
    trouble(error.message, moved + (error.hint ?? ""));
  } else if (error instanceof Lost) trouble("No connection", "The gate did not answer. Nothing was sent; try again.");
  else if (/cancel|denied|rejected/i.test(error.message)) trouble("Not signed", "The wallet was closed or said no. Nothing was paid.");
  else trouble("That did not work", error.message);
}

// Looking

async function look() {
  try {
    const { value } = await ask("GET", `/pages/wallets/${page.address}`, { deadline: 8_000 });
    if (value.version < wallet.version) return;
    wallet = value;
    lookedAt = performance.now();
    document.body.dataset.offline = "no";
    draw();
  } catch {
    document.body.dataset.offline = "yes";
  }
}

let soon = 0;
whileSeen(250, () => {
  tick();
  const every = busy ? LOOK_SOON_MS : LOOK_MS;
  if (performance.now() - soon > every) {
    soon = performance.now();
    look();
  }
});

function untilUp(was) {
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      if (wallet.state === "starting") mark("start", "now");
      if (wallet.state === "alive" || (wallet.state === "grace" && wallet.version > was)) {
        clearInterval(timer);
        mark("start", "done");
        mark("alive", "done", wallet.is_held_by_payment ? "on the payment's receipt" : "");
        resolve();
      } else if (wallet.state === "reaped" && wallet.version > was && wallet.sentence.includes("start failed")) {
        clearInterval(timer);
        reject(new Error("The sandbox did not start. The credit is kept; try again in a moment."));
      }
    }, 100);
  });
}

// Doing

async function working(names, work) {
  busy = true;
  showSteps(names);
  draw();
  try {
    await work();
    if (link) await readLink();
  } catch (error) {
    for (const item of steps.values()) if (item.dataset.state === "now") item.dataset.state = "failed";
    explain(error);
  } finally {
    busy = false;
    rathersPaying = false;
    await look();
    draw();
  }
}

function wakeWithCredit() {
  return working(["start", "alive"], async () => {
    const was = wallet.version;
    mark("start", "now");
    const headers = linkWakes() ? { "x-satbox-wake-link": link.token } : bearer(pass.token);
    const up = untilUp(was);
    await Promise.race([up, ask("POST", "/sandbox/wake", { body: {}, headers }).then(look)]);
    await up;
  });
}

/** One payment at a time: what this browser has under way goes on before anything new is signed. */
async function payAlone(work) {
  if (!(await alone(page.address, work))) trouble("Another tab is paying", "Go on there; this page shows how the sandbox does.");
}

async function payAndWake() {
  if (underWay(page.address)) return goOn();
  const library = await import("./wallet.bundle.js");
  const id = new FormData($("form")).get("wallet") ?? wallets[0].id;
  const coin = chosenCoin();
  const amount = satsFor(chosenSeconds());
  const names = [...(auth() ? [] : ["prove"]), "sign", "settle", "confirm", ...(payingWakes() ? ["start", "alive"] : [])];
  await working(names, async () => {
    const mine = await (mark(names[0], "now", "your wallet asks you"), library.addresses(id, page.network));
    if (!auth()) await prove(library, id, mine);
    mark("sign", "now", "your wallet asks you");
    const path = "/sandbox/extend";
    const body = { sats: amount, address: page.address };
    const { resource, entries } = await offers(path, body, auth());
    const entry = entries.get(coin.dataset.wire);
    if (!entry) throw new Error(`${coin.value} is not offered just now. Choose another coin.`);
    const payer = await ask("GET", `/pages/payers/${mine.stacks.address}`);
    const transaction = await library.signTransfer(id, {
      network: page.network,
      offer: { ...entry, assetName: tokens[entry.asset] },
      payer: mine.stacks.address,
      publicKey: mine.stacks.publicKey,
      nonce: payer.value.nonce,
    });
    mark("sign", "done", coins(coin.value, Number(entry.amount)));
    keep(page.address, { path, body, header: header(entry, resource, transaction), sats: amount, symbol: coin.value, wakes: payingWakes(), at: Date.now() });
    await followPayment();
  });
}

async function followPayment() {
  const was = wallet.version;
  const up = steps.has("alive") ? untilUp(was) : null;
  up?.catch(() => {});
  await settle(page.address, auth(), (step, detail) => {
    if (step === "lost") mark(steps.get("settle").dataset.state === "done" ? "confirm" : "settle", "now", "no connection; trying again with the same payment");
    if (step === "sending") mark("settle", "now", "");
    if (step === "settled" || step === "confirmed") mark("settle", "done", detail?.txid ? `${detail.txid.slice(0, 10)}…` : "");
    if (step === "settled") mark("confirm", "now", "waiting for the chain");
    if (step === "confirmed") mark("confirm", "done", detail.blockHeight ? `block ${whole(detail.blockHeight)}` : "");
    if (step === "confirmed" && up && steps.get("start").dataset.state === undefined) mark("start", "now");
  });
  if (up) await up;
}

async function prove(library, id, mine) {
  if (!mine.bitcoin.length) throw new Error("The wallet shows no Bitcoin address.");
  let last;
  for (const bitcoin of mine.bitcoin.slice(0, 3)) {
    mark("prove", "now", "your wallet asks you twice");
    const pair = { btc_address: bitcoin.address, stx_address: mine.stacks.address, scope: "extend" };
    const { value: challenge } = await ask("POST", "/gate/challenge", { body: pair });
    const signed = await library.signChallenge(id, challenge, bitcoin);
    const proof = { challenge: challenge.challenge, btc_signature: signed.bitcoin, stx_signature: signed.stacks };
    try {
      const { value } = await ask("POST", "/gate/prove", { body: proof });
      pass = { token: value.token, address: value.address, scope: value.scope, expires: value.expires_at };
      write(sessionStorage, PASS, pass);
      mark("prove", "done", value.level_name);
      return;
    } catch (error) {
      last = error;
      if (!(error instanceof Refused) || !["pair_not_registered", "pair_mismatch"].includes(error.code)) throw error;
    }
  }
  throw last;
}

async function resume() {
  const payment = underWay(page.address);
  if (!payment) return;
  if (!payment.paymentId && !auth()) {
    trouble(
      "A payment is under way",
      `You signed ${whole(payment.sats)} sats ${ago(new Date(payment.at).toISOString())}, and it is not known whether it arrived. Open your wake link again, use a pass, or press the button to prove who you are, and it goes on; nothing is paid twice.`,
      make("button", { type: "button", class: "plain", onclick: () => { drop(page.address); $("trouble").hidden = true; } }, "Forget it"),
    );
    return;
  }
  await payAlone(goOn);
}

async function goOn() {
  const payment = underWay(page.address);
  if (!payment) return;
  const asks = !payment.paymentId && !auth();
  const names = [...(asks ? ["prove"] : []), "settle", "confirm", ...(payment.wakes ? ["start", "alive"] : [])];
  await working(names, async () => {
    if (asks) {
      const library = await import("./wallet.bundle.js");
      const id = new FormData($("form")).get("wallet") ?? wallets[0].id;
      await prove(library, id, await library.addresses(id, page.network));
    }
    await followPayment();
  });
}

async function readLink() {
  const token = decodeURIComponent(location.hash.slice(1));
  if (!token.startsWith("swl_")) return;
  try {
    const { value } = await ask("GET", "/sandbox/wake-links/info", { headers: { "x-satbox-wake-link": token } });
    link = value.address === page.address ? { token, info: value } : null;
    if (!link) trouble("This link is for another agent", "It wakes somebody else; nothing was done.");
  } catch (error) {
    link = null;
    if (error instanceof Refused) trouble("This wake link is not good any more", "It was revoked, or its time is over. Ask the agent for a new one.");
  }
}

async function findWallets() {
  const library = await import("./wallet.bundle.js");
  wallets = library.installed();
  $("wallets").replaceChildren(
    ...wallets.map(({ id, name }, index) =>
      make("label", {}, make("input", { type: "radio", name: "wallet", value: id, checked: index === 0 }), make("span", { class: "choice" }, make("strong", {}, name)))),
  );
}

if ($("form")) {
  $("form").addEventListener("input", draw);
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    if (wakesWithCredit()) wakeWithCredit();
    else payAlone(payAndWake).catch(explain);
  });
  $("rather-pay").addEventListener("click", () => {
    rathersPaying = !rathersPaying;
    draw();
  });
  $("pass-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = $("pass").value.trim().replace(/^bearer\s+/i, "");
    const told = claims(token);
    if (!told) return trouble("That is no gate pass", "A pass is what `satbox prove` prints: three parts with dots between them.");
    pass = { token, address: told.sub, scope: told.scp, expires: new Date(told.exp * 1000).toISOString() };
    write(sessionStorage, PASS, pass);
    $("pass").value = "";
    $("trouble").hidden = true;
    draw();
  });
  addEventListener("hashchange", () => readLink().then(draw));
  if (pass && Date.parse(pass.expires ?? "9999") < Date.now()) {
    forget(sessionStorage, PASS);
    pass = null;
  }
  const ready = Promise.all([readLink(), findWallets()]);
  ready.then(draw).then(resume);
}
