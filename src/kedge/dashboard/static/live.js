// Parts of pages that stay true: `<div data-live="/path/of/the/part" data-events="/path/of/events">`. When the events tell of a
// change the part is asked for again, and what differs in it is put in place; focus, scrolling and what is unfolded stay.
// While the host does not answer the page says so; it is asked again until it does, and then all parts are.
import { morph } from "./morph.js";

const SETTLE = 250; // milliseconds: changes come in bursts
const BUSY = 3; // a part that takes long is asked for no more than this share of the time
const AGAIN = 2000, SELDOM = 20000; // milliseconds until a host that does not answer is asked again
const PATIENCE = 3000; // milliseconds: a host that is started again is back before
let patience = 0;
const sources = new Map();

export function begin() {
  const parts = document.querySelectorAll("[data-live][data-events]");
  for (const part of parts) {
    const address = part.dataset.events;
    if (!sources.has(address)) sources.set(address, { address, parts: [], source: null, timer: 0, again: 0, tries: 0, ended: false });
    sources.get(address).parts.push(part);
  }
  if (!sources.size) return;
  // A browser keeps six connections to a host: those of tabs that nobody sees are given back.
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  addEventListener("pagehide", pause);
  addEventListener("pageshow", (event) => event.persisted && resume());
  if (!document.hidden) for (const state of sources.values()) listen(state);
}

// Tells of each event, for modules that draw changes themselves; says how that is ended.
export function on(address, told) {
  const heard = (event) => event.detail.address === address && told(event.detail.data);
  document.addEventListener("kedge:event", heard);
  return () => document.removeEventListener("kedge:event", heard);
}

function listen(state) {
  if (state.source || state.ended) return;
  const source = (state.source = new EventSource(state.address));
  source.onopen = () => {
    if (!state.tries) return;
    state.tries = 0;
    soon(state);
    tell();
  };
  source.onmessage = (message) => {
    document.dispatchEvent(new CustomEvent("kedge:event", { detail: { address: state.address, data: JSON.parse(message.data) } }));
    soon(state);
  };
  source.onerror = () => {
    if (!state.tries++) tell();
    if (source.readyState !== EventSource.CLOSED || state.source !== source) return; // the browser tries again by itself
    state.source = null;
    later(state);
  };
  source.addEventListener("end", () => {
    state.ended = true;
    source.close();
    state.source = null;
    soon(state);
  });
}

function later(state) {
  clearTimeout(state.again);
  state.again = setTimeout(() => look(state), Math.min(AGAIN * state.tries, SELDOM));
}

// After an answer that was no stream: whether what the page shows is still there, and whether it may be seen.
async function look(state) {
  if (document.hidden || state.ended || state.source) return;
  try {
    const answer = await fetch(state.parts[0].dataset.live, { headers: { Accept: "text/html" } });
    if (answer.status === 401) return void location.reload();
    if (answer.ok) return listen(state);
    if (answer.status === 404) {
      state.ended = true;
      return tell();
    }
  } catch {
    // it does not answer yet
  }
  state.tries++;
  later(state);
}

// What stands below while the page may not be true.
function tell() {
  clearTimeout(patience);
  if ([...sources.values()].some((state) => state.tries)) patience = setTimeout(say, PATIENCE);
  else say();
}

function say() {
  const states = [...sources.values()], gone = states.some((state) => state.ended && state.tries);
  const words = gone ? "What this page shows is not there any more." : states.some((state) => state.tries) ? "The host does not answer. It is asked again; until then the page shows what was." : "";
  let place = document.getElementById("connection");
  if (!place && words) {
    place = Object.assign(document.createElement("p"), { id: "connection", className: "said connection" });
    place.setAttribute("role", "status");
    document.querySelector("main").append(place);
  }
  if (place) {
    place.hidden = !words;
    if (place.textContent !== words) place.textContent = words;
  }
}

function soon(state) {
  if (!state.timer) state.timer = setTimeout(() => { state.timer = 0; state.parts.forEach(renew); }, SETTLE);
}

function pause() {
  for (const state of sources.values()) {
    clearTimeout(state.again);
    state.source?.close();
    state.source = null;
  }
}

function resume() {
  for (const state of sources.values()) {
    listen(state);
    soon(state);
  }
}

const asked = new WeakMap(); // parts that are on their way; true: they changed meanwhile

export async function renew(part) {
  if (asked.has(part)) return void asked.set(part, true);
  asked.set(part, false);
  const begun = performance.now();
  try {
    const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
    if (answer.status === 401) location.reload();
    if (answer.ok) {
      const made = document.createElement(part.tagName);
      made.innerHTML = await answer.text();
      morph(part, made);
      part.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the host does not answer: its events say that too
  }
  setTimeout(() => {
    const again = asked.get(part);
    asked.delete(part);
    if (again && part.isConnected && !document.hidden) renew(part);
  }, BUSY * (performance.now() - begun));
}
