// The wake page, live: one button that wakes with credit when a link or the owner's pass allows it, and pays otherwise.
import { $, make, say, whileSeen } from "./dom.js";
import { ask, bearer, hintOf, Lost, Refused } from "./gate.js";
import { given as link, isReadingLink, readLink } from "./link.js";
import { forgetPass, keepPass, NO_PASS, parsed, passOf, payersPass } from "./passes.js";
import { alone, drop, header, keep, offers, settle, underWay } from "./payment.js";
import { calm, failSteps, isShown, mark, showSteps, stateOf, trouble } from "./steps.js";
import { ago, burns, coins, duration, sats, STATES, whole } from "./words.js";

const page = $("main").dataset;
const tokens = JSON.parse(page.tokens);
const LOOK_MS = 4_000;
const LOOK_SOON_MS = 700;

let wallet = JSON.parse(page.wallet);
let lookedAt = performance.now();
let pass = passOf(page.address) ?? payersPass();
let busy = false;
let rathersPaying = false;
let wallets = [];

// What is known

const isOwner = () => pass !== null && pass.address === page.address && pass.scope === "owner";
const isUp = () => ["alive", "grace", "starting"].includes(wallet.state);
const hasCredit = () => wallet.state === "reaped" && wallet.balance_usat >= wallet.wake_usat;
const linkWakes = () => Boolean(link()?.info.scopes.includes("wake")) && link().info.wakes_left_today > 0;
const isUsedUp = () => Boolean(link()?.info.scopes.includes("wake")) && link().info.wakes_left_today === 0;
const linkPays = () => Boolean(link()?.info.scopes.includes("topup"));
const wakesWithCredit = () => hasCredit() && (isOwner() || linkWakes()) && !rathersPaying;
const payingWakes = () => wallet.state === "reaped" && (wallet.gift_wakes || linkPays());
const auth = () => (linkPays() ? { "x-satbox-wake-link": link().token } : pass ? bearer(pass.token) : null);

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
  go.disabled = busy || isReadingLink() || (!isFree && (!coin || !wallets.length));
  say(go, busy ? "Working…" : isFree ? verb : `${verb} · ${price}`);
  say($("why"), isFree ? "" : whyNot());
}

function customSeconds() {
  return Math.min(8760, Math.max(1, Math.round(Number($("hours").value) || 1))) * 3600;
}

function whyNot() {
  if (isReadingLink()) return "What this wake link may do is not known yet.";
  if (isUsedUp() && !linkPays() && wallet.state === "reaped") return "This wake link has woken it as often as it may today; it wakes it again tomorrow (UTC).";
  if (!wallets.length) return "To pay from here, install Leather or Xverse in this browser, then reload the page.";
  if (wallet.state === "reaped" && !payingWakes()) return "Its owner put it to sleep, so a gift does not wake it: it is kept as credit. Only the owner, or a wake link, wakes it.";
  if (link() && !linkPays() && !pass) return "This link may wake it, but not pay. Paying makes it a gift: your wallet first proves that you are a Genesis agent.";
  if (!auth()) return "A gift: your wallet first signs two messages that prove you are a registered Genesis agent, then the payment.";
  return "Your wallet signs one transfer; the network's fee is not yours.";
}

function forgetButton() {
  return make("button", { type: "button", class: "plain", onclick: () => { drop(page.address); calm(); } }, "Forget it");
}

/** Whether a request was refused because the pass has ended, which is forgotten then. */
function passEnded(error) {
  if (!pass || !error.code?.startsWith("pass_")) return false;
  forgetPass(pass);
  pass = null;
  return true;
}

function explain(error) {
  if (passEnded(error)) {
    const next = underWay(page.address) ? "The payment is kept: press the button to prove who you are, and it goes on." : "Nothing was paid. Use a new pass, or press the button to prove who you are.";
    trouble(error.message, next);
  } else if (error.code === "payment_not_found" && underWay(page.address)) {
    const { sats: amount, at } = underWay(page.address);
    trouble("This gate does not know the payment", `You signed ${whole(amount)} sats ${ago(new Date(at).toISOString())}, and the gate that took them has lost its books, or it was another one. Nothing new is signed while the payment is kept here.`, forgetButton());
  } else if (error instanceof Refused) {
    const moved = error.moved === false ? "Nothing was paid. " : "";
    trouble(error.message, moved + hintOf(error));
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

function untilUp(was, signal) {
  const up = new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => clearInterval(timer));
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
  up.catch(() => {}); // whoever still waits hears of it
  return up;
}

// Doing

async function working(names, work) {
  const ending = new AbortController();
  busy = true;
  showSteps(names);
  draw();
  try {
    await work(ending.signal);
    if (link()) await readLink(page.address);
  } catch (error) {
    failSteps();
    explain(error);
  } finally {
    ending.abort();
    busy = false;
    rathersPaying = false;
    await look();
    draw();
  }
}

function wakeWithCredit() {
  return working(["start", "alive"], async (signal) => {
    const was = wallet.version;
    mark("start", "now");
    const headers = linkWakes() ? { "x-satbox-wake-link": link().token } : bearer(pass.token);
    const up = untilUp(was, signal);
    const asked = ask("POST", "/sandbox/wake", { body: { address: page.address }, headers }).catch((error) => {
      if (error instanceof Lost) throw new Error("The gate did not answer, and may have heard it all the same: the state above says what became of it.");
      throw error;
    });
    await Promise.race([up, asked.then(look)]);
    await up;
  });
}

/** One payment at a time: what this browser has under way goes on before anything new is signed. */
let isPaying = false; // in this tab: the second click of two is nobody else's

async function payAlone(work) {
  if (isPaying) return;
  isPaying = true;
  try {
    if (!(await alone(page.address, work))) trouble("Another tab is paying", "Go on there; this page shows how the sandbox does.");
  } finally {
    isPaying = false;
  }
}

async function payAndWake() {
  if (underWay(page.address)) return goOn();
  const library = await import("./wallet.bundle.js");
  const id = new FormData($("form")).get("wallet") ?? wallets[0].id;
  const coin = chosenCoin();
  const amount = satsFor(chosenSeconds());
  const names = [...(auth() ? [] : ["prove"]), "sign", "settle", "confirm", ...(payingWakes() ? ["start", "alive"] : [])];
  await working(names, async (signal) => {
    const mine = await (mark(names[0], "now", "your wallet asks you"), library.addresses(id, page.network));
    if (!auth()) await prove(library, id, mine);
    mark("sign", "now", "your wallet asks you");
    const path = "/sandbox/extend";
    const body = { sats: amount, address: page.address };
    const { resource, entries } = await offers(path, body, auth()).catch(async (error) => {
      if (!passEnded(error)) throw error;
      showSteps(["prove", ...names]);
      await prove(library, id, mine);
      mark("sign", "now", "your wallet asks you");
      return await offers(path, body, auth());
    });
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
    await followPayment(signal);
  });
}

async function followPayment(signal) {
  const was = wallet.version;
  const up = isShown("alive") ? untilUp(was, signal) : null;
  await settle(page.address, auth(), (step, detail) => {
    if (step === "lost") mark(stateOf("settle") === "done" ? "confirm" : "settle", "now", "no connection; trying again with the same payment");
    if (step === "sending") mark("settle", "now", "");
    if (step === "slow") mark("settle", "now", "taken; the relay may hold it for up to ten minutes. It goes on without this page");
    if (step === "settled" || step === "confirmed") mark("settle", "done", detail?.txid ? `${detail.txid.slice(0, 10)}…` : "");
    if (step === "settled") mark("confirm", "now", "waiting for the chain");
    if (step === "confirmed") mark("confirm", "done", detail.blockHeight ? `block ${whole(detail.blockHeight)}` : "");
    if (step === "confirmed" && up && stateOf("start") === undefined) mark("start", "now");
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
      pass = { token: value.token, address: value.address, scope: value.scope };
      keepPass(pass);
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
      forgetButton(),
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
  await working(names, async (signal) => {
    if (asks) {
      const library = await import("./wallet.bundle.js");
      const id = new FormData($("form")).get("wallet") ?? wallets[0].id;
      await prove(library, id, await library.addresses(id, page.network));
    }
    await followPayment(signal);
  });
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
    const given = parsed($("pass").value);
    if (!given) return trouble("Not used", NO_PASS);
    pass = given;
    keepPass(pass);
    $("pass").value = "";
    calm();
    draw();
  });
  addEventListener("hashchange", () => readLink(page.address).then(draw));
  const ready = Promise.all([readLink(page.address), findWallets()]);
  ready.then(draw).then(resume);
}
