// Bundles what pages take from npm into gate/pages/assets, with the licences of all that is inside.
// `node build.mjs --check` builds to memory and says whether the committed files are the same.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(here, "../gate/pages/assets");
const absent = join(here, "absent/index.js");
const entries = ["wallet", "terminal"];
const sources = ["absent/index.js", "build.mjs", "package-lock.json", "package.json", ...entries.map((name) => `${name}.js`)];

const made = await build({
  absWorkingDir: here,
  entryPoints: Object.fromEntries(entries.map((name) => [`${name}.bundle`, `${name}.js`])),
  alias: {
    "@reown/appkit": absent,
    "@reown/appkit-universal-connector": absent,
    "@stacks/connect-ui/loader": absent,
    "@stacks/profile": absent,
  },
  bundle: true,
  format: "esm",
  legalComments: "none",
  loader: { ".css": "text" },
  metafile: true,
  minify: true,
  outdir: out,
  platform: "browser",
  target: "es2022",
  write: false,
});

const files = new Map(made.outputFiles.map((file) => [file.path.slice(out.length + 1), Buffer.from(file.contents)]));
files.set("xterm.css", readFileSync(join(here, "node_modules/@xterm/xterm/css/xterm.css")));
files.set("LICENCES.txt", Buffer.from(licences(Object.keys(made.metafile.inputs))));
const digest = createHash("sha256");
for (const name of sources) digest.update(name + "\0").update(readFileSync(join(here, name))).update("\0");
const sha256 = Object.fromEntries([...files].sort().map(([name, body]) => [name, createHash("sha256").update(body).digest("hex")]));
files.set("bundles.json", Buffer.from(JSON.stringify({ sources, sources_sha256: digest.digest("hex"), sha256 }, null, 2) + "\n"));

function licences(inputs) {
  const folders = new Set(inputs.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean));
  const parts = [...folders].sort().map((folder) => {
    const about = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = readdirSync(join(here, folder)).find((name) => /^licen[cs]e/i.test(name));
    const text = file ? readFileSync(join(here, folder, file), "utf8").trim() : `Licence: ${about.license}`;
    return `${about.name} ${about.version}\n\n${text}\n`;
  });
  return parts.join(`\n${"-".repeat(72)}\n\n`);
}

let stale = 0;
for (const [name, body] of files) {
  const path = join(out, name);
  if (!process.argv.includes("--check")) writeFileSync(path, body);
  else if (!existsSync(path) || !readFileSync(path).equals(body)) {
    console.error(`${name} is not what web/ builds: run \`just assets\``);
    stale = 1;
  }
}
process.exit(stale);
