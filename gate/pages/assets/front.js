// The front page, live: counters that tick between looks, and buttons that copy.
import { $, say, whileSeen } from "./dom.js";
import { ask } from "./gate.js";
import { sats, whole } from "./words.js";

const LOOK_MS = 5_000;
let totals = null;
let lookedAt = 0;

async function look() {
  try {
    const { value } = await ask("GET", "/pages/counters", { deadline: 8_000 });
    totals = value;
    lookedAt = performance.now();
    document.body.dataset.offline = "no";
  } catch {
    document.body.dataset.offline = "yes";
  }
}

let asked = -Infinity;
whileSeen(200, () => {
  if (performance.now() - asked > LOOK_MS) {
    asked = performance.now();
    look();
  }
  if (!totals || document.body.dataset.offline === "yes") return; // nobody knows what burns meanwhile
  const passed = (performance.now() - lookedAt) / 1000;
  say($("alive"), whole(totals.alive));
  say($("wallets"), whole(totals.wallets));
  say($("burning"), sats(totals.burn_usat_per_second * 60));
  say($("burnt"), sats(totals.burnt_usat + totals.burn_usat_per_second * passed));
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($(button.dataset.copy).textContent);
      say(button, "Copied");
    } catch {
      getSelection().selectAllChildren($(button.dataset.copy));
      say(button, "Selected");
    }
    setTimeout(() => say(button, "Copy"), 1_500);
  });
}
