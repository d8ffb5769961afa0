// The Files tab: folders, downloads that a tab's memory can hold, uploads that replace nothing unasked.
import { make, say, table } from "./dom.js";
import { bearer, refusal } from "./gate.js";
import { quoted, visible } from "./names.js";
import { moment, whole } from "./words.js";

const DOWNLOAD_BYTES_MAX = 256 * 1024 * 1024; // the page holds a file whole before the browser keeps it

/** Fill `panel`; returns what reads the folder again. `attempt` runs work and shows in the panel why it failed. */
export function files(panel, { address, pass, asOwner, attempt }) {
  const where = make("span", { class: "mono name" });
  const upload = make("input", { type: "file", "aria-label": "Upload a file here" });
  const said = make("div", { role: "status" });
  const list = make("div", { id: "files" });
  panel.append(make("div", { class: "path" }, where, upload), said, list);
  let at = "/workspace";
  let unanswered = null; // what says no to a question that is open

  const query = (path) => `path=${encodeURIComponent(path)}&address=${address}`;
  const below = (folder, name) => `${folder === "/" ? "" : folder}/${name}`;
  const above = (path) => path.replace(/\/[^/]*$/, "") || "/";
  const note = (...words) => said.replaceChildren(make("div", { class: "note" }, ...words));

  async function show(path) {
    const found = await asOwner("GET", `/sandbox/files/list?${query(path)}`);
    if (path !== at) {
      unanswered?.(); // who goes elsewhere replaces nothing
      said.replaceChildren();
    }
    at = path;
    say(where, visible(path));
    const up = path === "/" ? [] : [row("..", "directory", "", () => showWhatIsLeft(above(path)))];
    const sorted = found.entries.sort((a, b) => (a.kind === "directory" ? 0 : 1) - (b.kind === "directory" ? 0 : 1) || (a.name < b.name ? -1 : 1));
    const rows = sorted.map((entry) => {
      const full = below(path, entry.name);
      const act = { directory: () => show(full), link: () => follow(full, entry), file: () => keep(full, entry) }[entry.kind];
      const kind = entry.target ? `link to ${visible(entry.target)}` : entry.kind === "other" ? "not a file" : entry.kind;
      return row(visible(entry.name), kind, entry.kind === "file" ? whole(entry.size_bytes) : "", act);
    });
    list.replaceChildren(table([["Name"], ["Kind"], ["Bytes", true]], [...up, ...rows], "Nothing is in here."));
    if (found.truncated) list.append(make("p", { class: "hint" }, "There is more than is shown."));
  }

  /** A folder, or what is left above one that is gone meanwhile: a shell of the owner, or an agent, deletes what it likes. */
  async function showWhatIsLeft(path) {
    try {
      await show(path);
    } catch (error) {
      if (!["path_not_found", "path_invalid"].includes(error.code) || path === "/") throw error;
      await showWhatIsLeft(above(path));
      note(`The folder ${visible(path)} is gone.`);
    }
  }

  function row(name, kind, size, act) {
    const shown = act ? make("button", { type: "button", class: "name", onclick: () => attempt(act) }, name) : make("span", { class: "name" }, name);
    return make("tr", {}, make("td", {}, shown), make("td", { class: "name" }, kind), make("td", { class: "number" }, size));
  }

  /** What a link leads to is not in the list: a folder opens, anything else is read. */
  async function follow(path, entry) {
    try {
      await show(path);
    } catch (error) {
      if (error.code !== "path_invalid") throw error;
      await keep(path, entry);
    }
  }

  async function keep(path, { name, kind, size_bytes: listed }) {
    const tooLarge = (bytes) => {
      const command = `satbox files read ${quoted(path)} --output ${quoted(name)}`;
      note(make("p", {}, `${visible(name)} reads as ${bytes} bytes, holes included; a page takes ${whole(DOWNLOAD_BYTES_MAX)} at most. From a terminal:`), make("pre", {}, make("code", {}, visible(command))));
    };
    if (kind === "file" && listed > DOWNLOAD_BYTES_MAX) return tooLarge(whole(listed));
    const ending = new AbortController();
    const answer = await fetch(`/sandbox/files?${query(path)}`, { headers: bearer(pass()), cache: "no-store", signal: ending.signal });
    if (!answer.ok) throw await refusal(answer);
    const pieces = [];
    let size = Number(answer.headers.get("content-length"));
    if (size <= DOWNLOAD_BYTES_MAX) {
      size = 0;
      for (const reader = answer.body.getReader(); size <= DOWNLOAD_BYTES_MAX; ) {
        const { done, value } = await reader.read();
        if (done) break;
        size += value.length;
        pieces.push(value);
      }
    }
    if (size > DOWNLOAD_BYTES_MAX) {
      ending.abort();
      return tooLarge(pieces.length ? "more" : whole(size));
    }
    const url = URL.createObjectURL(new Blob(pieces, { type: "application/octet-stream" }));
    const link = make("a", { href: url, download: visible(name) });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  async function there(path) {
    try {
      return await asOwner("GET", `/sandbox/files/stat?${query(path)}`);
    } catch (error) {
      if (error.code === "path_not_found") return null;
      throw error;
    }
  }

  const described = ({ kind, size_bytes: size, target, modified_at: when }) =>
    `${target ? `a link to ${visible(target)}` : `a ${kind} of ${whole(size)} bytes`}${when ? `, changed ${moment(when)}` : ""}`;

  function mayReplace(name, old) {
    return new Promise((resolve) => {
      const choose = (answer) => {
        unanswered = null;
        said.replaceChildren();
        resolve(answer);
      };
      unanswered = () => choose(false);
      const choice = (label, answer) => make("button", { type: "button", onclick: () => choose(answer) }, label);
      const first = choice("Keep it", false);
      note(make("p", {}, `${visible(name)} is here already: ${described(old)}. Replace it?`), make("div", { class: "row" }, first, choice("Replace it", true)));
      first.focus();
    });
  }

  async function put(file) {
    const path = below(at, file.name);
    const old = await there(path);
    if (old && old.kind !== "directory" && !(await mayReplace(file.name, old))) return;
    const headers = { ...bearer(pass()), "content-type": "application/octet-stream" };
    const answer = await fetch(`/sandbox/files?${query(path)}`, { method: "PUT", headers, body: file });
    if (!answer.ok) throw await refusal(answer);
    note(old ? `${visible(path)} was replaced: it was ${described(old)}, now it has ${whole(file.size)} bytes.` : `${visible(path)} was written: ${whole(file.size)} bytes.`);
    await show(at);
  }

  upload.addEventListener("change", () => {
    const [file] = upload.files;
    if (!file) return;
    upload.disabled = true;
    said.replaceChildren();
    attempt(() => put(file)).finally(() => {
      upload.value = "";
      upload.disabled = false;
    });
  });
  return () => showWhatIsLeft(at);
}
