// Server-sent events over fetch, since EventSource can send no pass. Comes back by itself until it is told to end, or refused.
import { bearer, pause, Refused } from "./gate.js";

const RETRY_MS = [500, 1_000, 2_000, 5_000];
const SILENT_MS = 20_000;

/**
 * Follow `path`; `hear(data, type)` for each message, `told(state)` with "live" or "lost". Raises Refused when the gate says
 * no. `after` is asked for the query before each connection, so that a page can go on where it was.
 */
export async function follow(path, token, hear, told, signal, after = () => "") {
  for (let tries = 0; !signal.aborted; tries += 1) {
    const silence = new AbortController();
    try {
      const answer = await fetch(path + after(), {
        headers: { accept: "text/event-stream", ...(token ? bearer(token) : {}) },
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!answer.ok) {
        const { error } = await answer.json();
        if (answer.status < 500 && answer.status !== 429) throw new Refused(answer.status, error);
        throw new Error(error.message);
      }
      told("live");
      tries = 0;
      await read(answer.body.getReader(), hear, silence);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    if (signal.aborted) return;
    told("lost");
    await pause(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
  }
}

async function read(reader, hear, silence) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENT_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
      const data = field("data");
      if (data) hear(JSON.parse(data), field("event") || "message");
    }
  }
}
