// Graphs: moved and enlarged by pointer, wheel, touch and keys; folded in place; kept true while a run goes on; a task is shown beside.
import { on } from "./live.js";

const LEAST = 0.08, MOST = 3, READABLE = 0.75; // scales
const STEP = 1.25;
const part = document.getElementById("graph-part") ?? document.getElementById("graph")?.parentElement;
const panel = document.getElementById("panel");
const view = { x: 0, y: 0, scale: 1 };
let frame = 0;

const windowOf = () => part.querySelector(".graph-window");
const drawing = () => part.querySelector("svg.graph-drawing");
const size = () => drawing().dataset.size.split(" ").map(Number);

function show() {
  frame = 0;
  const box = windowOf();
  drawing().setAttribute("viewBox", `${view.x} ${view.y} ${box.clientWidth / view.scale} ${box.clientHeight / view.scale}`);
}
function soon() {
  if (!frame) frame = requestAnimationFrame(show);
}

// All of it; where that would be too small to read, the beginning.
function fit(readable = false) {
  const [wide, high] = size(), box = windowOf();
  const all = Math.min(box.clientWidth / wide, box.clientHeight / high, 1);
  view.scale = readable ? Math.max(all, Math.min(READABLE, 1)) : Math.max(all, LEAST);
  view.x = (wide - box.clientWidth / view.scale) / 2;
  view.y = Math.min(0, (high - box.clientHeight / view.scale) / 2);
  if (readable && view.scale > all) {
    const first = drawing().querySelector(".node");
    const seen = box.clientWidth / view.scale;
    if (wide > seen && first) view.x = Math.min(Math.max(0, place(first).x + 92 - seen / 2), wide - seen);
  }
  soon();
}

function zoom(by, x, y) {
  const box = windowOf().getBoundingClientRect();
  const [px, py] = [(x ?? box.left + box.width / 2) - box.left, (y ?? box.top + box.height / 2) - box.top];
  const scale = Math.min(MOST, Math.max(LEAST, view.scale * by));
  view.x += px / view.scale - px / scale;
  view.y += py / view.scale - py / scale;
  view.scale = scale;
  soon();
}

function pan(dx, dy) {
  view.x -= dx / view.scale;
  view.y -= dy / view.scale;
  soon();
}

function place(node) {
  const [, x, y] = /translate\(([-\d.]+) ([-\d.]+)\)/.exec(node.getAttribute("transform"));
  return { x: Number(x), y: Number(y) };
}

// ---- pointers: one moves, two enlarge

const pointers = new Map();
let moved = 0;

function begin(event) {
  if (event.button) return;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (pointers.size === 1) moved = 0;
}
function move(event) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = { x: event.clientX, y: event.clientY };
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
  if (moved > 4 && !windowOf().hasPointerCapture(event.pointerId)) windowOf().setPointerCapture(event.pointerId);
  if (other) {
    const far = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    zoom(far(now, other) / far(before, other), (now.x + other.x) / 2, (now.y + other.y) / 2);
    pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  } else pan(now.x - before.x, now.y - before.y);
  pointers.set(event.pointerId, now);
}
function end(event) {
  pointers.delete(event.pointerId);
}

// ---- keys: arrows lead from box to box

function next(from, key) {
  const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
  const here = place(from);
  let best = null, least = Infinity;
  for (const each of drawing().querySelectorAll(".node, .group, .more")) {
    if (each === from) continue;
    const there = place(each);
    const along = (there.x - here.x) * dx + (there.y - here.y) * dy;
    const aside = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
    if (along > 1 && along + 2 * aside < least) [best, least] = [each, along + 2 * aside];
  }
  return best;
}
const target = (box) => (box.matches("a") ? box : box.querySelector("a"));
const around = (element) => element?.closest?.(".node, .group, .more");

function focusOn(box) {
  const found = target(box);
  if (!found) return;
  for (const each of drawing().querySelectorAll('[tabindex="0"]')) each.setAttribute("tabindex", "-1");
  found.setAttribute("tabindex", "0");
  found.focus({ preventScroll: true });
  const frame = windowOf(), { x, y } = place(box), margin = 24 / view.scale;
  const [wide, high] = [frame.clientWidth / view.scale, frame.clientHeight / view.scale];
  if (x < view.x + margin) view.x = x - margin;
  if (y < view.y + margin) view.y = y - margin;
  if (x + 184 > view.x + wide - margin) view.x = x + 184 + margin - wide;
  if (y + 44 > view.y + high - margin) view.y = y + 44 + margin - high;
  soon();
}

function keyed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const box = around(event.target);
  if (event.key === "+" || event.key === "=") zoom(STEP);
  else if (event.key === "-") zoom(1 / STEP);
  else if (event.key === "0") fit();
  else if (event.key.startsWith("Arrow")) {
    const found = box ? next(box, event.key) : drawing().querySelector(".node");
    if (found) focusOn(found);
  } else if (event.key === " " && box?.querySelector(".toggle")) fold(box.querySelector(".toggle"));
  else return;
  event.preventDefault();
}

// ---- folding in place

async function fold(link) {
  const box = around(link), id = box.id, before = place(box);
  const address = new URL(link.getAttribute("href"), location.href);
  if (!(await redraw(address.search))) return void (location.href = address);
  const now = new URLSearchParams(address.search), task = new URLSearchParams(location.search).get("task");
  if (task) now.set("task", task);
  history.replaceState(null, "", `${address.pathname}?${now}`);
  const after = id && document.getElementById(id);
  if (after) {
    view.x += place(after).x - before.x; // what was folded stays where it was on the screen
    view.y += place(after).y - before.y;
    focusOn(after);
  }
  show();
}

let drawn = 0;
let since = []; // what was told since a drawing was asked for: its answer may be of a moment before
async function redraw(search) {
  if (!part.dataset.part) return false;
  const number = ++drawn;
  since = [];
  const query = new URLSearchParams(search);
  query.set("view", "graph");
  query.delete("task");
  const answer = await fetch(`${part.dataset.part}?${query}`, { headers: { Accept: "text/html" } });
  if (!answer.ok || number !== drawn) return answer.ok;
  const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("graph");
  if (number !== drawn) return true;
  if (!made) return false;
  const focused = around(document.activeElement)?.id;
  part.querySelector("#graph").toggleAttribute("data-bundles", made.hasAttribute("data-bundles"));
  drawing().replaceWith(made.querySelector("svg.graph-drawing"));
  prepare();
  for (const face of since) if (document.getElementById(`n-${face[0]}`)) dress(document.getElementById(`n-${face[0]}`), ...face.slice(1));
  show();
  const again = focused && document.getElementById(focused);
  if (again) target(again).focus({ preventScroll: true });
  return true;
}

// ---- what changes while a run goes on

function changed(told) {
  let other = Boolean(told.state) || part.querySelector("#graph").hasAttribute("data-bundles");
  since.push(...told.faces);
  for (const [path, state, detail, more] of told.faces) {
    const box = document.getElementById(`n-${path}`);
    if (box) dress(box, state, detail, more);
    else other ||= isTurn(path);
  }
  if (other) redraw(location.search);
}
// A turn of a loop that is open, which has begun since.
function isTurn(path) {
  const [above, number] = [path.slice(0, path.lastIndexOf(".")), path.slice(path.lastIndexOf(".") + 1)];
  if (!/^\d+$/.test(number) || !document.getElementById(`n-${above}`)?.classList.contains("group")) return false;
  return !drawing().querySelector(`[id^="n-${CSS.escape(path)}."]`) && !drawing().querySelector(`.more`);
}
function dress(box, state, detail, more) {
  const kind = box.classList[0], folded = box.classList.contains("folded");
  box.setAttribute("class", [kind, ...(folded ? ["folded"] : []), state].join(" ") + (box.classList.contains("chosen") ? " chosen" : ""));
  box.querySelector("use").setAttribute("href", `#s-${state}`);
  const [label, dim] = box.querySelectorAll("text");
  dim.textContent = detail;
  if (kind === "node") label.setAttribute("y", detail ? 19 : 27);
  const link = target(box), word = state.toLowerCase();
  if (!link.dataset.task) return;
  const said = `${label.textContent} ${detail}`.trim() + (detail.includes(word) ? "" : `: ${word}`) + (more ? `. ${more}` : "");
  link.setAttribute("aria-label", said + (label.textContent.endsWith("…") ? `, ${path}` : ""));
}

// ---- the task beside

let asked = "";
async function open(id, address, { focus = true } = {}) {
  asked = id;
  const answer = await fetch(address, { headers: { Accept: "text/html", "X-Part": "panel" } });
  const text = answer.ok ? await answer.text() : "";
  if (asked !== id) return;
  if (!text || /<html/i.test(text)) return void (location.href = address);
  panel.innerHTML = text;
  panel.hidden = false;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain panel-close";
  close.textContent = "Close";
  close.addEventListener("click", shut);
  panel.prepend(close);
  choose(id);
  remember(id);
  panel.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
  if (focus) panel.focus({ preventScroll: true });
  soon();
}
function shut() {
  if (panel.hidden) return;
  const chosen = drawing().querySelector(".chosen");
  asked = "";
  panel.hidden = true;
  panel.replaceChildren();
  panel.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
  remember("");
  choose("");
  if (chosen) target(chosen).focus({ preventScroll: true });
  soon();
}
function choose(id) {
  drawing().querySelector(".chosen")?.classList.remove("chosen");
  if (id) document.getElementById(`n-${id}`)?.classList.add("chosen");
}
function remember(id) {
  const query = new URLSearchParams(location.search);
  if (id) query.set("task", id);
  else query.delete("task");
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}

// ----

function prepare() {
  const svg = drawing();
  svg.dataset.size = `${svg.width.baseVal.value} ${svg.height.baseVal.value}`;
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  svg.setAttribute("preserveAspectRatio", "xMinYMin");
  for (const link of svg.querySelectorAll("a")) link.setAttribute("tabindex", "-1");
  const first = svg.querySelector(".node");
  (first && target(first))?.setAttribute("tabindex", "0");
  const task = new URLSearchParams(location.search).get("task");
  if (task) choose(task);
}

if (part && drawing()) {
  const box = windowOf();
  box.classList.add("moves");
  box.removeAttribute("tabindex");
  part.querySelector(".graph-tools").hidden = false;
  prepare();
  fit(true);
  show();
  new ResizeObserver(soon).observe(box);
  box.addEventListener("pointerdown", begin);
  box.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, end);
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
    else pan(-event.deltaX, -event.deltaY);
  }, { passive: false });
  box.addEventListener("dragstart", (event) => event.preventDefault());
  box.addEventListener("keydown", keyed);
  box.addEventListener("pointerover", (event) => {
    const link = event.target.closest("a[aria-label], g[aria-label]");
    if (!link || link.firstElementChild?.tagName === "title") return;
    link.prepend(document.createElementNS("http://www.w3.org/2000/svg", "title"));
    link.firstElementChild.textContent = link.getAttribute("aria-label");
  });
  part.querySelector(".graph-tools").addEventListener("click", ({ target: { dataset } }) => {
    if (dataset.zoom === "fit") fit();
    else if (dataset.zoom) zoom(dataset.zoom === "in" ? STEP : 1 / STEP);
  });
  box.addEventListener("click", (event) => {
    if (moved > 4) return void event.preventDefault(); // it was moved, not chosen
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const toggle = event.target.closest("a[data-fold]"), link = event.target.closest("a[data-task]");
    if (!toggle && !(link && panel)) return;
    event.preventDefault();
    if (toggle) fold(toggle);
    else open(link.dataset.task, link.getAttribute("href"));
  });
  if (panel) {
    document.addEventListener("keydown", (event) => event.key === "Escape" && shut());
    const task = new URLSearchParams(location.search).get("task");
    if (task) open(task, `${location.pathname}/tasks/${encodeURIComponent(task)}`, { focus: false });
  }
  if (part.dataset.told) on(part.dataset.told, changed);
}
