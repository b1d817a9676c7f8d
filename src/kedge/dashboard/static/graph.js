// Graphs: moved and enlarged by pointer, wheel, touch and keys; folded in place; kept true while a run goes on; a task is shown beside.
import { on } from "./live.js";

const LEAST = 0.08, MOST = 3, READABLE = 0.75; // scales
const STEP = 1.25;
const EDGE = 24; // pixels that are kept around what is looked at
const MOST_SAID = 5; // edges of a task
const LINE = 16; // pixels that a wheel means by a line
const part = document.getElementById("graph-part") ?? document.getElementById("graph")?.parentElement;
const panel = document.getElementById("panel");
const view = { x: 0, y: 0, scale: 1 };
let frame = 0;

const windowOf = () => part.querySelector(".graph-window");
const drawing = () => part.querySelector("svg.graph-drawing");
const size = () => drawing().dataset.size.split(" ").map(Number);

let fitted = ""; // "all" or "readable" as long as nobody has moved it since

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
  fitted = readable ? "readable" : "all";
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

// The window has another size, such as beside a task: what one looks at stays in it.
function resized() {
  if (fitted) fit(fitted === "readable");
  const chosen = drawing().querySelector(".chosen");
  if (chosen) reveal(chosen);
  soon();
}

function zoom(by, x, y) {
  const box = windowOf().getBoundingClientRect();
  const [px, py] = [(x ?? box.left + box.width / 2) - box.left, (y ?? box.top + box.height / 2) - box.top];
  const scale = Math.min(MOST, Math.max(LEAST, view.scale * by));
  view.x += px / view.scale - px / scale;
  view.y += py / view.scale - py / scale;
  view.scale = scale;
  fitted = "";
  soon();
}

// Moves it by pixels; says how many were left because its edge has been reached. A mouse may go on until little of it is seen.
function pan(dx, dy, loose = false) {
  const [wide, high] = size(), box = windowOf();
  const left = [["x", dx, wide, box.clientWidth], ["y", dy, high, box.clientHeight]].map(([axis, by, whole, pixels]) => {
    const seen = pixels / view.scale, before = view[axis], space = EDGE / view.scale;
    const [least, most] = loose ? [space * 3 - seen, whole - space * 3] : whole <= seen ? [before, before] : [-space, whole - seen + space];
    const wanted = before - by / view.scale;
    view[axis] = Math.max(Math.min(before, least), Math.min(Math.max(before, most), wanted));
    return by - (before - view[axis]) * view.scale;
  });
  if (dx - left[0] || dy - left[1]) fitted = "";
  soon();
  return left;
}

// As little as is needed to see a box; one that is larger than the window from its beginning.
function reveal(box) {
  const frame = windowOf(), { x, y } = place(box), margin = EDGE / view.scale;
  const shape = box.querySelector("rect:not(.behind)");
  const [wide, high] = [shape.width.baseVal.value, shape.height.baseVal.value];
  for (const [axis, start, long, seen] of [["x", x, wide, frame.clientWidth / view.scale], ["y", y, high, frame.clientHeight / view.scale]]) {
    if (start + long > view[axis] + seen - margin) view[axis] = start + long + margin - seen;
    if (start < view[axis] + margin) view[axis] = start - margin;
  }
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
    pan((now.x - before.x) / 2, (now.y - before.y) / 2, true);
  } else if (event.pointerType === "touch") {
    const [, rest] = pan(now.x - before.x, now.y - before.y);
    if (rest) scrollBy(0, -rest); // at its edge a finger moves the page
  } else pan(now.x - before.x, now.y - before.y, true);
  pointers.set(event.pointerId, now);
}
function end(event) {
  pointers.delete(event.pointerId);
}

function wheeled(event) {
  const unit = event.deltaMode ? LINE : 1;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp((-event.deltaY * unit) / 200), event.clientX, event.clientY);
    return;
  }
  const [x, y] = [-event.deltaX * unit, -event.deltaY * unit], [left, rest] = pan(x, y);
  if (left !== x || rest !== y) event.preventDefault(); // at its edge a wheel moves the page
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
  fitted = "";
  reveal(box);
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
  const now = new URLSearchParams(address.search), task = chosenTask();
  if (task) now.set("task", task);
  history.pushState(null, "", `${address.pathname}?${now}`);
  fitted = "";
  const after = id && document.getElementById(id);
  if (after) {
    view.x += place(after).x - before.x; // what was folded stays where it was on the screen
    view.y += place(after).y - before.y;
    focusOn(after);
  }
  show();
}

let drawn = 0;
let since = null; // what was told since a drawing was asked for: its answer may be of a moment before
async function redraw(search) {
  if (!part.dataset.part) return false;
  const number = ++drawn;
  since = [];
  const query = new URLSearchParams(search);
  query.set("view", "graph");
  const made = await asked(`${part.dataset.part}?${query}`);
  if (number !== drawn) return true;
  const later = since;
  since = null;
  const graph = made && new DOMParser().parseFromString(made, "text/html").getElementById("graph");
  if (!graph) return false;
  const focused = around(document.activeElement)?.id;
  drawing().replaceWith(graph.querySelector("svg.graph-drawing"));
  prepare();
  for (const [path, ...face] of later) {
    const box = document.getElementById(`n-${path}`);
    if (box) dress(box, ...face);
  }
  show();
  const again = focused && document.getElementById(focused);
  if (again) target(again)?.focus({ preventScroll: true });
  return true;
}
// What the host answers, as text; nothing where it does not, or refuses.
async function asked(address, headers = {}) {
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html", ...headers } });
    return answer.ok ? await answer.text() : "";
  } catch {
    return "";
  }
}

// ---- what changes while a run goes on

function changed(told) {
  let other = Boolean(told.state); // what did not run is told apart at the end
  since?.push(...told.faces);
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
  return ![`n-${path}.`, `n-${above}:`].some((start) => drawing().querySelector(`[id^="${CSS.escape(start)}"]`));
}
function dress(box, state, detail, more) {
  const kind = box.classList[0], folded = box.classList.contains("folded");
  box.setAttribute("class", [kind, ...(folded ? ["folded"] : []), state].join(" ") + (box.classList.contains("chosen") ? " chosen" : ""));
  box.querySelector("use").setAttribute("href", `#s-${state}`);
  const [label, dim] = box.querySelectorAll("text");
  dim.textContent = detail;
  if (kind === "node") label.setAttribute("y", detail ? 19 : 27);
  const named = box.matches("a") ? box : box.querySelector("a[data-task], g[aria-label]"), word = state.toLowerCase();
  const said = `${label.textContent} ${detail}`.trim() + (detail.includes(word) ? "" : `: ${word}`) + (more ? `. ${more}` : "");
  named.setAttribute("aria-label", (named.dataset.label ? `${named.dataset.label}, ` : "") + said);
}

// ---- what goes along the edges

const wiresOf = (box) => [...drawing().querySelectorAll(".wire")].filter(({ dataset }) => [dataset.from, dataset.to].includes(box?.id.slice(2)));
function light(wires) {
  for (const lit of drawing().querySelectorAll(".wire.lit")) lit.classList.remove("lit");
  for (const wire of wires) wire.classList.add("lit");
  let line = drawing().querySelector(".lit-line"); // a line of its own: what is pointed at stays as wide as it was
  if (!line && wires.length) {
    line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("class", "lit-line");
    wires[0].before(line);
  }
  line?.setAttribute("d", wires.map((wire) => wire.getAttribute("d")).join(""));
  const words = wires.slice(0, MOST_SAID).map((wire) => wire.getAttribute("aria-label"));
  if (wires.length > MOST_SAID) words.push(`and ${wires.length - MOST_SAID} more`);
  const place = part.querySelector(".graph-said"), said = words.join(" · ");
  if (place.textContent !== said) place.title = place.textContent = said;
}
function lightFocused() {
  light(wiresOf(around(document.activeElement) ?? drawing().querySelector(".chosen")));
}

// ---- the task beside

const chosenTask = () => new URLSearchParams(location.search).get("task");
let wanted = "";
async function open(id, address, { focus = true, push = true } = {}) {
  wanted = id;
  const text = await asked(address, { "X-Part": "panel" });
  if (wanted !== id) return;
  if (!text || /<html/i.test(text)) return void (location.href = address);
  panel.innerHTML = text;
  panel.hidden = false;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain panel-close";
  close.textContent = "Close";
  close.addEventListener("click", () => shut());
  panel.prepend(close);
  choose(id);
  if (push) remember(id);
  panel.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
  panel.scrollTop = 0;
  if (focus) {
    panel.focus({ preventScroll: true });
    if (panel.getBoundingClientRect().top > innerHeight / 2) panel.scrollIntoView(); // a narrow window has it below
  }
  resized();
}
function shut({ push = true } = {}) {
  wanted = "";
  if (panel.hidden) return;
  const chosen = drawing().querySelector(".chosen"), focused = panel.contains(document.activeElement);
  panel.hidden = true;
  panel.replaceChildren();
  panel.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
  if (push) remember("");
  choose("");
  if (chosen && focused) target(chosen)?.focus({ preventScroll: true });
  resized();
}
// A task that is folded away is marked at what it is in.
function choose(id) {
  drawing().querySelector(".chosen")?.classList.remove("chosen");
  for (let path = id; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const box = document.getElementById(`n-${path}`);
    if (box) return void (box.classList.add("chosen"), lightFocused());
  }
  lightFocused();
}
function remember(id) {
  const query = new URLSearchParams(location.search);
  if (id === (query.get("task") ?? "")) return;
  if (id) query.set("task", id);
  else query.delete("task");
  history.pushState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}
const pageOf = (task) => `${location.pathname}/tasks/${encodeURIComponent(task)}`;
async function back() {
  const task = chosenTask();
  if (!(await redraw(location.search))) return void location.reload();
  if (!panel) return;
  if (task) open(task, pageOf(task), { focus: false, push: false });
  else shut({ push: false });
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
  choose(chosenTask() ?? "");
}

if (part && drawing()) {
  const box = windowOf();
  box.classList.add("moves");
  box.removeAttribute("tabindex");
  part.querySelector(".graph-bar").hidden = false;
  prepare();
  fit(true);
  resized();
  show();
  new ResizeObserver(resized).observe(box);
  box.addEventListener("pointerdown", begin);
  box.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, end);
  box.addEventListener("wheel", wheeled, { passive: false });
  box.addEventListener("dragstart", (event) => event.preventDefault());
  box.addEventListener("keydown", keyed);
  box.addEventListener("focusin", lightFocused);
  box.addEventListener("focusout", lightFocused);
  box.addEventListener("pointerover", (event) => {
    const wire = event.target.closest(".wire");
    if (wire) light([wire]);
    const link = event.target.closest("a[aria-label], g[aria-label], .wire");
    if (!link || link.firstElementChild?.tagName === "title") return;
    link.prepend(document.createElementNS("http://www.w3.org/2000/svg", "title"));
    link.firstElementChild.textContent = link.getAttribute("aria-label");
  });
  box.addEventListener("pointerout", (event) => event.target.closest(".wire") && lightFocused());
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
    panel.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-task]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(link.dataset.task, link.getAttribute("href"));
    });
    document.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && shut());
    if (chosenTask()) open(chosenTask(), pageOf(chosenTask()), { focus: false, push: false });
  }
  if (part.dataset.part) addEventListener("popstate", back);
  if (part.dataset.told) on(part.dataset.told, changed);
}
