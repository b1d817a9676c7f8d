// Parts of pages that stay true: `<div data-live="/path/of/the/part" data-events="/path/of/events">`. When the events tell of a
// change the part is asked for again, and what differs in it is put in place; focus, scrolling and what is unfolded stay.
import { morph } from "./morph.js";

const SETTLE = 250; // milliseconds: changes come in bursts
const PATIENCE = 3000; // milliseconds: a host that is started again is back before
const LONGEST = 60000; // milliseconds between two tries
const sources = new Map();

export function begin() {
  const parts = document.querySelectorAll("[data-live][data-events]");
  for (const part of parts) {
    const address = part.dataset.events;
    if (!sources.has(address)) sources.set(address, { parts: [], source: null, timer: 0, ended: false, away: false, wait: 0, pause: 0 });
    sources.get(address).parts.push(part);
  }
  if (!sources.size) return;
  // A browser keeps six connections to a host: those of tabs that nobody sees are given back.
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  addEventListener("pagehide", pause);
  addEventListener("pageshow", (event) => event.persisted && resume());
  if (!document.hidden) for (const address of sources.keys()) listen(address);
}

// Tells of each event: `on("/runs/1/events", (data) => …)`; for modules that draw changes themselves.
export function on(address, told) {
  document.addEventListener("kedge:event", (event) => event.detail.address === address && told(event.detail.data));
}

function listen(address) {
  const state = sources.get(address);
  if (state.source || state.ended) return;
  state.source = new EventSource(address);
  state.source.onmessage = (message) => {
    document.dispatchEvent(new CustomEvent("kedge:event", { detail: { address, data: JSON.parse(message.data) } }));
    soon(state);
  };
  state.source.onopen = () => {
    state.pause = 0;
    away(state, false);
  };
  state.source.onerror = () => {
    away(state, true);
    if (state.source?.readyState === EventSource.CLOSED) refused(address);
  };
  state.source.addEventListener("end", () => {
    state.ended = true;
    state.source.close();
    state.source = null;
    soon(state);
  });
}

// A browser does not ask again by itself for what was answered with an error: such as while a hub behind a Service starts again.
function refused(address) {
  const state = sources.get(address);
  state.source = null;
  soon(state); // says whether we are still signed in
  state.pause = Math.min((state.pause || PATIENCE) * 2, LONGEST);
  setTimeout(() => document.hidden || listen(address), state.pause);
}

// What a page shows is old while the host does not answer, and the page says so; what changed meanwhile is asked for afterwards.
function away(state, is) {
  if (state.away && !is) soon(state);
  state.away = is;
  clearTimeout(state.wait);
  if (is) state.wait = setTimeout(() => note(), PATIENCE);
  else note();
}

function note() {
  const wanted = [...sources.values()].some((state) => state.away && !state.ended);
  const shown = document.getElementById("away");
  if (wanted === Boolean(shown)) return;
  if (shown) return void shown.remove();
  const made = document.createElement("p");
  made.id = "away";
  made.className = "said";
  made.setAttribute("role", "status");
  made.textContent = "The host does not answer: what is shown here may be old. It is asked again and again.";
  document.getElementById("content").prepend(made);
}

function soon(state) {
  if (!state.timer) state.timer = setTimeout(() => { state.timer = 0; state.parts.forEach(renew); }, SETTLE);
}

function pause() {
  for (const state of sources.values()) {
    state.source?.close();
    state.source = null;
  }
}

function resume() {
  for (const [address, state] of sources) {
    listen(address);
    soon(state);
  }
}

// One answer at a time: of two that are asked for together the older may come last, and would stay. Whether it is wanted once more
// is noted meanwhile.
const renewing = new WeakMap();
export async function renew(part) {
  if (renewing.has(part)) return void renewing.set(part, true);
  try {
    do {
      renewing.set(part, false);
      await ask(part);
    } while (renewing.get(part));
  } catch {
    // The host is away. When its events begin again, the part is asked for again.
  } finally {
    renewing.delete(part);
  }
}

async function ask(part) {
  const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) return;
  const made = document.createElement(part.tagName);
  made.innerHTML = await answer.text();
  morph(part, made);
  part.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
}
