// An agent's page: what everybody may see, and with the owner's pass what only the owner may.
import { drawBalance } from "./chart.js";
import { $, make, say, whileSeen } from "./dom.js";
import { ask, bearer, hintOf, isAway } from "./gate.js";
import { forget, read } from "./keep.js";
import { forgetPass, keepPass, NO_PASS, parsed, passOf } from "./passes.js";
import { ago, burns, duration, sats, STATES, whole } from "./words.js";

const { address } = $("main").dataset;
let isPublic = $("main").dataset.public === "yes";
const OPERATOR = "satbox.operator";
const LOOK_MS = 3_000;

let news = null;
let lookedAt = 0;
let desk = null;

const token = () => passOf(address)?.token ?? read(sessionStorage, OPERATOR);

async function look() {
  const pass = token();
  const headers = pass ? bearer(pass) : {};
  const { value } = await ask("GET", `/pages/agents/${address}`, { headers, deadline: 8_000 });
  news = value;
  isPublic = news.is_public;
  lookedAt = performance.now();
  draw();
}

function draw() {
  const { wallet } = news;
  $("inside").hidden = false;
  $("entry").hidden = news.is_owner; // an operator may be the owner, too
  say($("asks"), `Its owner's pass shows ${isPublic || news.is_operator ? "the rest" : "this page"}. Pass:`);
  say($("state"), wallet.is_paused ? "Frozen" : STATES[wallet.state]);
  say($("sentence"), wallet.sentence);
  $("dot").dataset.state = wallet.state;
  $("owed").hidden = !wallet.owed_usat;
  say($("owed"), `It owes ${sats(wallet.owed_usat)} sats; they come first out of the next payment.`);
  const [amount, unit] = burns(wallet);
  say($("burns"), amount);
  say($("burns-unit"), unit);
  const last = news.points.at(-1);
  say($("seen"), wallet.state === "alive" ? "now" : last ? ago(new Date(last[0]).toISOString()) : "never");
  drawBalance($("chart"), $("chart-says"), news.points, [Date.now(), wallet.balance_usat, "now"]);
  drawEarnings().catch(() => { routesOf = null; }); // the next look asks again
  $("desk").hidden = !news.is_owner;
  if (news.is_owner && !desk) openDesk();
}

function tick() {
  if (!news || document.body.dataset.offline === "yes") return; // nobody knows what it burns meanwhile
  const { wallet } = news;
  const passed = (performance.now() - lookedAt) / 1000;
  say($("balance"), sats(Math.max(0, wallet.balance_usat - wallet.rate_usat_per_second * passed)));
  const running = wallet.rate_usat_per_second ? passed : 0;
  const left = wallet.grace_seconds_left !== null && !wallet.is_held_by_payment ? wallet.grace_seconds_left : wallet.seconds_left;
  say($("runway"), left === null ? "—" : duration(left - running));
}

function figure(label, value, unit) {
  return make("div", {}, make("dt", {}, label), make("dd", {}, make("span", {}, value), make("small", {}, unit)));
}

let routesOf = null;

async function drawEarnings() {
  const { earnings } = news;
  $("sold").hidden = !earnings || (!earnings.earned_usat && !earnings.spent_usat && !earnings.routes);
  if ($("sold").hidden) return;
  $("earnings").replaceChildren(
    figure("Earned", sats(earnings.earned_usat), "sats"),
    figure("Operator's share", sats(earnings.fees_usat), "sats"),
    figure("Paid to others", sats(earnings.spent_usat), "sats"),
    figure("Routes", whole(earnings.routes), "offered"),
  );
  const seen = `${earnings.routes} ${news.is_owner}`; // an owner is shown more of them than others
  if (routesOf === seen) return;
  routesOf = seen;
  const { value } = await ask("GET", `/sandbox/routes?address=${address}`);
  const rows = value.items.map((route) => {
    const link = make("a", { href: route.url.replace(/\*$/, "") }, `:${route.port}${route.path}`);
    return make("tr", {}, make("td", {}, route.methods.join(", ") || "any"), make("td", { class: "mono" }, link),
      make("td", { class: "number" }, route.sats ? `${whole(route.sats)} sats` : "free"), make("td", {}, route.callers));
  });
  $("routes").replaceChildren(make("div", { class: "scrolls" }, make("table", { class: "list-table" }, make("tbody", {}, ...rows))));
}

async function openDesk() {
  desk = await import("./desk.js");
  desk.open(address, () => {
    const kept = passOf(address);
    if (!kept) throw new Error("Your pass has ended. Paste a new one above.");
    return kept.token;
  }, () => news, look);
}

function refuse(why) {
  say($("refused"), why);
  $("refused").hidden = false;
}

async function refresh() {
  try {
    await look();
    document.body.dataset.offline = "no";
    if (passOf(address)) $("refused").hidden = true; // why the last pass was refused stays until there is another
  } catch (error) {
    const isLost = isAway(error);
    document.body.dataset.offline = isLost ? "yes" : "no";
    if (isLost) return;
    if (error.status === 401) {
      const pass = passOf(address);
      if (pass) forgetPass(pass);
      else forget(sessionStorage, OPERATOR);
      refuse(`${error.message} ${hintOf(error)}`);
      $("desk").hidden = true;
    } else if (error.status === 404) {
      isPublic = false;
      if (token()) refuse("This pass is not its owner's, or there is no such wallet here.");
      else say($("asks"), "This page is private, or there is no such wallet here. Pass:");
    }
    if (!isPublic) {
      news = null;
      $("inside").hidden = true;
      $("entry").hidden = false;
    }
  }
}

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const pass = parsed($("pass").value);
  $("pass").value = "";
  if (!pass) return refuse(NO_PASS);
  if (pass.address !== address) return refuse(`This pass is not its owner's: it is the pass of ${pass.address}.`);
  $("refused").hidden = true;
  keepPass(pass);
  refresh();
});

let asked = -Infinity;
whileSeen(250, () => {
  tick();
  const mayLook = isPublic || news !== null || asked === -Infinity;
  if (mayLook && performance.now() - asked > LOOK_MS) {
    asked = performance.now();
    refresh();
  }
});
