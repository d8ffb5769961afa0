// What only the owner sees: a terminal, files, logs, events, the ledger, a setting. Each tab is made when it is first opened.
import { $, make, say } from "./dom.js";
import { ask, bearer, Refused } from "./gate.js";
import { follow } from "./stream.js";
import { sats, whole } from "./words.js";

const LOG_CHARS_MAX = 200_000;
const ROWS_MAX = 200;
const SHELL = ["/bin/sh", "-c", "command -v bash >/dev/null && exec bash -i || exec sh -i"];

let address, pass, news, look;
const opened = new Set();

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
    if (!opened.has(name)) {
      opened.add(name);
      Promise.resolve(MAKERS[name](panel)).catch((error) => complain(panel, error));
    }
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

function complain(panel, error) {
  const hint = error instanceof Refused ? error.hint : "";
  panel.append(make("p", { class: "trouble", role: "alert" }, make("strong", {}, error.message), hint ?? ""));
}

const asOwner = (method, path, body) => ask(method, path, { body, headers: bearer(pass()) }).then(({ value }) => value);

// Terminal

function terminal(panel) {
  const start = make("button", { type: "button", id: "open-terminal", class: "primary" }, "Open a terminal");
  const place = make("div", { class: "terminal", hidden: true, "aria-label": "Terminal" });
  panel.append(start, place);
  start.addEventListener("click", () => {
    start.disabled = true;
    attach(panel, start, place).catch((error) => {
      start.disabled = false;
      complain(panel, error);
    });
  });
}

async function attach(panel, start, place) {
  const { Terminal, FitAddon } = await import("./terminal.bundle.js");
  place.hidden = false;
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
  fit.fit();
  const size = { rows: screen.rows, columns: screen.cols };
  const env = { TERM: "xterm-256color" };
  const process = await asOwner("POST", "/sandbox/processes", { argv: SHELL, terminal: true, env, address, ...size });
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
    if (told.event === "exit") screen.write("\r\n\x1b[2m[the shell has ended]\x1b[0m\r\n");
  });
  socket.addEventListener("close", () => {
    watcher.disconnect();
    place.dataset.live = "no";
    say(start, "Open another");
    start.hidden = false;
    start.disabled = false;
    start.addEventListener("click", () => { screen.dispose(); place.replaceChildren(); }, { once: true, capture: true });
  });
}

// Files

function table(heads, rows, nothing) {
  if (!rows.length) return make("p", { class: "hint" }, nothing);
  const head = make("tr", {}, ...heads.map(([label, isNumber]) => make("th", { scope: "col", class: isNumber ? "number" : null }, label)));
  return make("div", { class: "scrolls" }, make("table", { class: "list-table" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

const query = (path) => `path=${encodeURIComponent(path)}&address=${address}`;

function files(panel) {
  const where = make("span", { class: "mono" });
  const upload = make("input", { type: "file", "aria-label": "Upload a file here" });
  const list = make("div", { id: "files" });
  panel.append(make("div", { class: "path" }, where, upload), list);
  let at = "/workspace";

  async function show(path) {
    const found = await asOwner("GET", `/sandbox/files/list?${query(path)}`);
    at = path;
    say(where, path);
    const up = path === "/" ? [] : [row("..", "directory", "", () => show(path.replace(/\/[^/]*$/, "") || "/"))];
    const sorted = found.entries.sort((a, b) => (a.kind === "directory" ? 0 : 1) - (b.kind === "directory" ? 0 : 1) || (a.name < b.name ? -1 : 1));
    const rows = sorted.map((entry) => {
      const full = `${path === "/" ? "" : path}/${entry.name}`;
      const isFolder = entry.kind === "directory";
      return row(entry.name, entry.kind, isFolder ? "" : whole(entry.size_bytes), () => (isFolder ? show(full) : fetchFile(full, entry.name)));
    });
    list.replaceChildren(table([["Name"], ["Kind"], ["Bytes", true]], [...up, ...rows], "Nothing is in here."));
    if (found.truncated) list.append(make("p", { class: "hint" }, "There is more than is shown."));
  }

  function row(name, kind, size, act) {
    const button = make("button", { type: "button", onclick: () => Promise.resolve(act()).catch((error) => complain(panel, error)) }, name);
    return make("tr", {}, make("td", {}, button), make("td", {}, kind), make("td", { class: "number" }, size));
  }

  async function fetchFile(path, name) {
    const answer = await fetch(`/sandbox/files?${query(path)}`, { headers: bearer(pass()), cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    const url = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: "application/octet-stream" }));
    const link = make("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  upload.addEventListener("change", async () => {
    const [file] = upload.files;
    if (!file) return;
    try {
      const headers = { ...bearer(pass()), "content-type": "application/octet-stream" };
      const answer = await fetch(`/sandbox/files?${query(`${at === "/" ? "" : at}/${file.name}`)}`, { method: "PUT", headers, body: file });
      if (!answer.ok) throw new Error((await answer.json()).error.message);
      await show(at);
    } catch (error) {
      complain(panel, error);
    } finally {
      upload.value = "";
    }
  });
  return show(at);
}

// Logs

async function logs(panel) {
  const found = await asOwner("GET", `/sandbox/processes?address=${address}`);
  const picked = make("select", { "aria-label": "Process" }, ...found.items.map((process) =>
    make("option", { value: process.process_id }, `${process.argv.join(" ").slice(0, 80)} (${process.state})`)));
  const out = make("pre", { class: "log", id: "log", tabindex: 0 });
  let ending = null;
  const show = () => {
    ending?.abort();
    ending = new AbortController();
    out.textContent = "";
    let cursor = 0;
    const path = `/sandbox/processes/${picked.value}/logs`;
    follow(path, pass(), (piece) => {
      if (piece.event === "exit") return ending.abort();
      if (piece.data === undefined) return;
      cursor = piece.cursor ?? cursor;
      out.append(piece.data || atob(piece.data_base64 ?? ""));
      if (out.textContent.length > LOG_CHARS_MAX) out.textContent = out.textContent.slice(-LOG_CHARS_MAX / 2);
      out.scrollTop = out.scrollHeight;
    }, () => {}, ending.signal, () => `?follow=true&after=${cursor}&address=${address}`).catch((error) => complain(panel, error));
  };
  if (!found.items.length) return panel.append(make("p", { class: "hint" }, "No process has been started in the background."));
  picked.addEventListener("change", show);
  panel.append(picked, out);
  show();
}

// Events

function events(panel) {
  const body = make("tbody");
  panel.append(make("div", { class: "scrolls" }, make("table", { class: "list-table", id: "events" }, body)));
  let seq = 0;
  follow("/sandbox/events", pass(), (event) => {
    seq = event.seq;
    const words = Object.entries(event.data).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
    body.prepend(make("tr", {}, make("td", {}, event.at.slice(0, 19).replace("T", " ")), make("td", {}, make("strong", {}, event.type)), make("td", {}, words.join(", "))));
    while (body.children.length > ROWS_MAX) body.lastChild.remove();
  }, () => {}, new AbortController().signal, () => `?follow=true&after=${seq}&limit=1000&address=${address}`).catch((error) => complain(panel, error));
}

// Ledger

async function ledger(panel) {
  const rows = [];
  let after = 0;
  let page;
  do {
    page = await asOwner("GET", `/sandbox/ledger?after=${after}&limit=1000&address=${address}`);
    rows.push(...page.items);
    after = page.next_cursor;
  } while (page.has_more && rows.length < 20_000);
  const shown = rows.slice(-ROWS_MAX).reverse().map((entry) => {
    const moved = entry.postings.bucket ?? entry.postings.owed ?? 0;
    return make("tr", {}, make("td", {}, whole(entry.seq)), make("td", {}, entry.at.slice(0, 19).replace("T", " ")), make("td", {}, entry.kind),
      make("td", { class: "mono" }, entry.reference ?? ""), make("td", { class: "number" }, sats(moved, 6)), make("td", { class: "number" }, sats(entry.balance_after_usat, 6)));
  });
  const head = make("p", { class: "hint" }, `${whole(rows.length)} entries, chain head ${page.chain_head.slice(0, 16)}…`);
  panel.append(head, table([["#"], ["When"], ["What"], ["Reference"], ["Sats", true], ["Balance", true]], shown, "Nothing was ever posted."));
}

// Settings

function settings(panel) {
  const box = make("input", { type: "checkbox", id: "public" });
  box.checked = news().is_public;
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
}
