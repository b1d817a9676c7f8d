// A run's timeline: wider and narrower in place, around what one looks at, by buttons, keys, and Ctrl with the wheel.
import { renew } from "./live.js";

const part = document.getElementById("run-view");
const table = () => part.querySelector(".gantt");
const frame = () => part.querySelector(".scroll");
const bars = () => part.querySelector(".gantt th.bars");
let busy = false;

async function go(name, at) {
  const link = part.querySelector(`.zooms a[href][data-zoom="${name}"]`);
  if (!link || busy) return;
  busy = true;
  const place = frame().getBoundingClientRect(), shown = bars().getBoundingClientRect();
  const x = at ?? (Math.max(place.left, shown.left) + place.right) / 2;
  const share = (x - shown.left) / shown.width, address = new URL(link.href);
  history.replaceState(null, "", address);
  part.dataset.live = `${location.pathname}/part${address.search}`;
  await renew(part);
  const now = bars().getBoundingClientRect();
  frame().scrollLeft += now.left + share * now.width - x;
  busy = false;
}

part.addEventListener("click", (event) => {
  const link = event.target.closest(".zooms a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.dataset.zoom);
});
part.addEventListener("keydown", (event) => {
  const name = { "+": "Wider", "=": "Wider", "-": "Narrower", 0: "Fit all of it" }[event.key];
  if (!name || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  go(name);
});
part.addEventListener("wheel", (event) => {
  if (!(event.ctrlKey || event.metaKey) || !table()?.contains(event.target)) return;
  event.preventDefault();
  if (event.deltaY) go(event.deltaY < 0 ? "Wider" : "Narrower", event.clientX);
}, { passive: false });
