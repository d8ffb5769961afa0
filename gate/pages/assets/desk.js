// What only the owner sees: a terminal, files, logs, events, the ledger, a setting. Each tab is made when it is first opened
// and read again whenever it is chosen.
import { $, make, say, table } from "./dom.js";
import { files } from "./files.js";
import { ask, bearer, hintOf } from "./gate.js";
import { visible } from "./names.js";
import { follow } from "./stream.js";
import { moment, moved, referenceOf, sats, signed, whole } from "./words.js";

const LOG_CHARS_MAX = 200_000;
const LOG_CUT = "[what came before is in `satbox processes logs`]\n";
const ROWS_MAX = 200;
// A shell of a page that was closed, or never got as far as attaching, has nobody who could find it again.
const UNATTENDED_SECONDS = 15;
const SHELL = ["/bin/sh", "-c", "command -v bash >/dev/null && exec bash -i || exec sh -i"];

let address, pass, news, look;
const readers = new Map(); // what reads a tab again

export function open(of, token, newest, refresh) {
  [address, pass, news, look] = [of, token, newest, refresh];
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (tab) => {
    for (const other of tabs) {
      const isIt = other === tab;
      other.setAttribute("aria-selected", String(isIt));
      other.tabIndex = isIt ? 0 : -1;
      $(other.getAttribute("aria-controls")).hidden = !isIt;
    }
    const name = tab.id.slice("tab-".length);
    const panel = $(`panel-${name}`);
    if (!readers.has(name)) {
      const attempt = (work) => trying(panel, work);
      readers.set(name, MAKERS[name](panel, { address, pass, asOwner, attempt }));
    }
    trying(panel, readers.get(name));
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    });
  }
  choose(tabs[0]);
}

const MAKERS = { terminal, files, logs, events, ledger, settings };

function quieten(panel) {
  for (const old of panel.querySelectorAll(".trouble")) old.remove();
}

const WAKES = ["sandbox_reaped", "credit_insufficient", "wallet_not_found"];

function complain(panel, error) {
  const help = WAKES.includes(error.code) ? make("a", { href: `/wake/${address}` }, "Wake or top up")
    : error.code === "sandbox_paused" ? "`satbox unpause` lets it run on." : hintOf(error);
  quieten(panel);
  panel.append(make("p", { class: "trouble", role: "alert" }, make("strong", {}, error.message), help));
}

async function trying(panel, work) {
  quieten(panel);
  try {
    await work();
  } catch (error) {
    complain(panel, error);
  }
}

const asOwner = (method, path, body) => ask(method, path, { body, headers: bearer(pass()) }).then(({ value }) => value);

// Terminal

function terminal(panel) {
  const start = make("button", { type: "button", id: "open-terminal", class: "primary" }, "Open a terminal");
  const place = make("div", { class: "terminal", hidden: true, "aria-label": "Terminal" });
  const leave = make("p", { class: "hint", id: "leave-terminal", tabindex: -1, hidden: true },
    make("kbd", {}, "Ctrl"), "+", make("kbd", {}, "Shift"), "+", make("kbd", {}, "Enter"), " leaves the terminal; Tab then goes on from here.");
  panel.append(start, place, leave);
  start.addEventListener("click", () => {
    start.disabled = true;
    quieten(panel);
    attach(start, place, leave).catch((error) => {
      start.disabled = false;
      place.hidden = leave.hidden = true;
      place.replaceChildren();
      complain(panel, error);
    });
  });
  return () => {};
}

async function attach(start, place, leave) {
  const { Terminal, FitAddon } = await import("./terminal.bundle.js");
  place.hidden = leave.hidden = false;
  const screen = new Terminal({
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    fontSize: 13,
    scrollback: 5_000,
    theme: { background: "#131312", foreground: "#eeeeec", cursor: "#fb8a4c" },
  });
  const fit = new FitAddon();
  screen.loadAddon(fit);
  screen.open(place);
  screen.textarea.setAttribute("aria-describedby", leave.id);
  // Tab belongs to the shell, so there is a way out: a combination that browsers leave alone and no program can tell from Enter.
  screen.attachCustomKeyEventHandler((event) => {
    if (!(event.ctrlKey && event.shiftKey && event.key === "Enter")) return true;
    event.preventDefault();
    if (event.type === "keydown") leave.focus();
    return false;
  });
  fit.fit();
  const size = { rows: screen.rows, columns: screen.cols };
  const env = { TERM: "xterm-256color" };
  const process = await asOwner("POST", "/sandbox/processes", { argv: SHELL, terminal: true, unattended_seconds: UNATTENDED_SECONDS, env, address, ...size });
  const where = new URL(`/sandbox/processes/${process.process_id}/attach?address=${address}`, location.href);
  where.protocol = where.protocol.replace("http", "ws");
  const socket = new WebSocket(where, ["satbox", `pass.${pass()}`]);
  socket.binaryType = "arraybuffer";
  const resize = () => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ resize: [screen.rows, screen.cols] }));
  const watcher = new ResizeObserver(() => fit.fit());
  watcher.observe(place);
  screen.onResize(resize);
  screen.onData((text) => socket.readyState === WebSocket.OPEN && socket.send(new TextEncoder().encode(text)));
  socket.addEventListener("open", () => {
    start.hidden = true;
    place.dataset.live = "yes";
    screen.focus();
  });
  socket.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") return screen.write(new Uint8Array(data).subarray(1));
    const told = JSON.parse(data);
    if (told.event === "lost") screen.write(`\r\n\x1b[2m[${whole(told.lost_bytes)} bytes were lost here]\x1b[0m\r\n`);
    if (told.event === "exit") screen.write("\r\n\x1b[2m[the shell has ended]\x1b[0m\r\n");
  });
  socket.addEventListener("close", ({ code, reason }) => {
    watcher.disconnect();
    if (code !== 1000) screen.write(`\r\n\x1b[2m[not connected any more: ${reason || "the connection was lost"}]\x1b[0m\r\n`);
    place.dataset.live = "no";
    say(start, "Open another");
    start.hidden = false;
    start.disabled = false;
    start.addEventListener("click", () => { screen.dispose(); place.replaceChildren(); }, { once: true, capture: true });
  });
}

// Logs

function ended({ state, exit_code: code, signal, timed_out: isLate, oom_killed: isOom }) {
  if (state === "running") return "running";
  if (state === "lost") return "lost with its sandbox";
  const how = signal ? `ended by signal ${signal}` : `ended with exit code ${code}`;
  return how + (isOom ? ", out of memory" : isLate ? ", its time was up" : "");
}

function logs(panel) {
  const none = make("p", { class: "hint", hidden: true }, "No process has been started in the background.");
  const picked = make("select", { "aria-label": "Process", hidden: true });
  const out = make("pre", { class: "log", id: "log", tabindex: 0, hidden: true });
  const end = make("p", { class: "hint", id: "log-end", role: "status" });
  panel.append(none, picked, out, end);
  let ending = null;
  let shown = null;

  const title = (process) => `${visible(process.argv.join(" ").slice(0, 80))} (${ended(process)})`;
  const show = () => {
    ending?.abort();
    ending = new AbortController();
    shown = picked.value;
    out.textContent = "";
    say(end, "");
    let cursor = 0;
    let waiting = "";
    let drawing = 0;
    // What comes is put in once a frame: a layout for each of thousands of pieces would stop the page for minutes.
    const mine = ending;
    const draw = () => {
      drawing = 0;
      if (ending !== mine) return;
      const all = out.textContent + waiting;
      waiting = "";
      out.textContent = all.length > LOG_CHARS_MAX ? `${LOG_CUT}${all.slice(-LOG_CHARS_MAX / 2)}` : all;
      out.scrollTop = out.scrollHeight;
    };
    const put = (text) => {
      waiting += text;
      if (waiting.length > LOG_CHARS_MAX) waiting = `${LOG_CUT}${waiting.slice(-LOG_CHARS_MAX / 2)}`;
      drawing ||= requestAnimationFrame(draw);
    };
    const { signal } = mine;
    const option = picked.selectedOptions[0];
    const path = `/sandbox/processes/${shown}/logs`;
    follow(path, pass(), (piece) => {
      if (piece.event === "exit") {
        say(option, title(piece));
        if (!signal.aborted) say(end, `The process ${ended(piece)}.`);
        return mine.abort();
      }
      if (piece.data === undefined) return;
      cursor = piece.cursor ?? cursor;
      if (signal.aborted) return;
      if (piece.lost_bytes) put(`\n[${whole(piece.lost_bytes)} bytes are no longer kept]\n`);
      put(piece.data || atob(piece.data_base64 ?? ""));
    }, () => {}, signal, () => `?follow=true&after=${cursor}&address=${address}`).catch((error) => {
      shown = null; // the next look tries again
      complain(panel, error);
    });
  };
  picked.addEventListener("change", show);
  return async () => {
    const { items } = await asOwner("GET", `/sandbox/processes?address=${address}`);
    const old = new Map([...picked.options].map((option) => [option.value, option]));
    picked.replaceChildren(...items.map((process) => {
      const option = old.get(process.process_id) ?? make("option", { value: process.process_id });
      say(option, title(process));
      return option;
    }));
    none.hidden = items.length > 0;
    picked.hidden = out.hidden = !items.length;
    if (items.some((process) => process.process_id === shown)) picked.value = shown;
    else if (items.length) show();
  };
}

// Events

function events(panel) {
  const body = make("tbody");
  const cut = make("p", { class: "hint", hidden: true }, `The newest ${ROWS_MAX} are shown; earlier ones are in \`satbox events\`.`);
  panel.append(cut, make("div", { class: "scrolls" }, make("table", { class: "list-table", id: "events" }, body)));
  let seq = 0;
  let isFollowing = false;
  const hear = (event) => {
    seq = event.seq;
    const words = Object.entries(event.data).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
    body.prepend(make("tr", {}, make("td", {}, moment(event.at)), make("td", {}, make("strong", {}, event.type)), make("td", { class: "words" }, visible(words.join(", ")))));
    while (body.children.length > ROWS_MAX) {
      body.lastChild.remove();
      cut.hidden = false;
    }
  };
  return () => {
    if (isFollowing) return;
    isFollowing = true;
    follow("/sandbox/events", pass(), hear, () => {}, new AbortController().signal, () => `?follow=true&after=${seq}&limit=1000&address=${address}`)
      .catch((error) => complain(panel, error))
      .finally(() => { isFollowing = false; });
  };
}

// Ledger

function ledger(panel) {
  const place = make("div", { class: "tabpanel" });
  panel.append(place);
  return async () => place.replaceChildren(...(await entries()));
}

async function entries() {
  const rows = [];
  let after = 0;
  let page;
  do {
    page = await asOwner("GET", `/sandbox/ledger?after=${after}&limit=1000&address=${address}`);
    rows.push(...page.items);
    after = page.next_cursor;
  } while (page.has_more && rows.length < 20_000);
  const shown = rows.slice(-ROWS_MAX).reverse().map((entry) =>
    make("tr", {}, make("td", {}, whole(entry.seq)), make("td", {}, moment(entry.at)), make("td", {}, entry.kind),
      make("td", { class: "mono" }, referenceOf(entry)), make("td", { class: "number" }, signed(moved(entry.postings), 6)), make("td", { class: "number" }, sats(entry.balance_after_usat, 6))));
  const cut = page.has_more ? "; these and later ones are in `satbox ledger`" : rows.length > ROWS_MAX ? `, the newest ${ROWS_MAX} are shown` : "";
  const count = `${page.has_more ? "The first " : ""}${whole(rows.length)} entries${cut}`;
  const head = make("p", { class: "hint" }, `${count}. Chain head ${page.chain_head.slice(0, 16)}…`);
  return [head, table([["#"], ["When"], ["What"], ["Reference"], ["Sats", true], ["Balance", true]], shown, "Nothing was ever posted.")];
}

// Settings

function settings(panel) {
  const box = make("input", { type: "checkbox", id: "public" });
  box.addEventListener("change", async () => {
    box.disabled = true;
    try {
      const told = await asOwner("POST", "/sandbox/visibility", { public: box.checked, address });
      box.checked = told.public;
      await look();
    } catch (error) {
      box.checked = news().is_public;
      complain(panel, error);
    } finally {
      box.disabled = false;
    }
  });
  panel.append(
    make("label", { class: "switch" }, box, make("span", {}, "Everybody may see this page")),
    make("p", { class: "hint" }, "Status, balance, chart, earnings and routes. Never the terminal, files, logs, events or the ledger."),
  );
  return () => { box.checked = news().is_public; };
}
