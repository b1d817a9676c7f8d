// The form of a schedule: only the fields of the chosen kind are shown, and the next times, or what is wrong at a field, follow
// what is typed.
import { say } from "./inputs.js";

const form = document.getElementById("schedule");
const preview = document.getElementById("preview");
const NAMES = ["trigger", "cron", "zone", "every", "unit", "start_time", "end_time"];
const SETTLE = 300; // milliseconds
let timer = 0;
let asked = 0;

function kinds() {
  const chosen = form.elements.trigger.value;
  for (const part of form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== chosen;
}

async function show() {
  const mine = ++asked;
  const query = new URLSearchParams(NAMES.map((name) => [name, form.elements[name].value]));
  const answer = await fetch(`/schedules/preview?${query}`, { headers: { Accept: "text/html" } });
  if (mine !== asked || !answer.ok) return;
  preview.innerHTML = await answer.text();
  for (const name of NAMES) {
    const field = form.elements[name];
    if (field.id) say(field, preview.querySelector(`[data-fault="${name}"]`)?.textContent ?? "");
  }
  preview.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
}

form.addEventListener("input", (event) => {
  if (event.target.name === "trigger") kinds();
  if (!NAMES.includes(event.target.name)) return;
  clearTimeout(timer);
  timer = setTimeout(show, SETTLE);
});
const button = document.getElementById("preview-button");
button.hidden = true;
button.type = "button"; // Enter saves
kinds();
