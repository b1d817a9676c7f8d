// Forms for inputs: what is no JSON or no number says so while it is typed, defaults can be put back, and what the API would say
// stands at the fields that were left. The API checks all of it again.
const KINDS = { LIST: Array.isArray, STRUCT: (value) => value !== null && typeof value === "object" && !Array.isArray(value) };
const WHOLE = /^[+-]?\d+(\.0+)?$/;
const SETTLE = 200; // milliseconds

function fault(field) {
  const text = field.value.trim();
  if (!text || !(field.dataset.json || field.dataset.number)) return "";
  if (field.dataset.number) {
    if (field.dataset.number === "integer" && !WHOLE.test(text)) return "expected a whole number, such as 5";
    return isNaN(Number(text)) ? "expected a number, such as 0.5" : "";
  }
  try {
    if (KINDS[field.dataset.json]?.(JSON.parse(field.value))) return "";
    return field.dataset.json === "LIST" ? "expected a list, such as [1, 2]" : 'expected an object, such as {"a": 1}';
  } catch (error) {
    return place(field.value, error.message);
  }
}

// Browsers tell places in words of their own, and of a text that ends too early none.
function place(text, message) {
  if (/line \d+ column \d+ of/.test(message)) return message;
  const at = /at position (\d+)/.exec(message);
  const before = text.slice(0, at ? Number(at[1]) : text.length).split("\n");
  return `line ${before.length}, column ${before.at(-1).length + 1}: ${message.replace(/ (in JSON )?at position.*/, "")}`;
}

export function say(field, said) {
  const wrong = document.getElementById(`${field.id}-wrong`);
  if (!wrong) return;
  if (wrong.textContent !== said) wrong.textContent = said;
  wrong.hidden = !said;
  if (said) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  const ids = new Set((field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean));
  said ? ids.add(wrong.id) : ids.delete(wrong.id);
  ids.size ? field.setAttribute("aria-describedby", [...ids].join(" ")) : field.removeAttribute("aria-describedby");
}

function tell(field) {
  const said = fault(field);
  say(field, said);
  return said;
}

for (const field of document.querySelectorAll("[data-json], [data-number]")) field.addEventListener("input", () => tell(field));

function extra(field, label, about) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = label;
  button.setAttribute("aria-label", `${about} ${field.name.replace("value:", "")}`);
  document.getElementById(`${field.id}-hint`).append(button);
  return button;
}

// JSON with a line for each of its parts. It is taken apart as text: as a number of JavaScript one may lose digits.
function indented(text) {
  let made = "", depth = 0, before = "";
  for (const part of text.match(/"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g)) {
    const opens = /[[{]/.test(before) && before.length === 1, closes = part === "]" || part === "}";
    if (closes) depth--;
    if ((opens && !closes) || (closes && !opens) || before === ",") made += "\n" + "  ".repeat(depth);
    made += part === ":" ? ": " : part;
    if (part === "[" || part === "{") depth++;
    before = part;
  }
  return made;
}

function put(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
}

for (const field of document.querySelectorAll("textarea[data-json]")) {
  extra(field, "Format", "Format").addEventListener("click", () => {
    if (field.value.trim() && !tell(field)) put(field, indented(field.value));
    field.rows = Math.min(Math.max(field.value.split("\n").length, 3), 16);
  });
}

for (const field of document.querySelectorAll("[data-default]")) {
  const button = extra(field, "Restore the default", "Restore the default of");
  const show = () => (button.hidden = field.value === field.dataset.default);
  button.addEventListener("click", () => put(field, field.dataset.default));
  field.addEventListener("input", show);
  field.addEventListener("change", show);
  show();
}

// What the API would say, of those fields alone that somebody has left: nobody is told of what they have not come to yet.
for (const form of document.querySelectorAll("form[data-verdict]")) {
  const left = new Set();
  let timer = 0, asked = 0;
  const ask = async () => {
    const mine = ++asked;
    const body = new FormData(form);
    body.set("do", "verdict");
    try {
      const answer = await fetch(location.href, { method: "POST", headers: { Accept: "application/json" }, body });
      if (mine !== asked || !answer.ok) return;
      const { faults } = await answer.json();
      for (const name of left) if (form.elements[name]?.id) say(form.elements[name], fault(form.elements[name]) || (faults[name] ?? ""));
    } catch {
      // The page is left, or the host is away: it is asked when the form is sent.
    }
  };
  form.addEventListener("change", (event) => {
    left.add(event.target.name);
    clearTimeout(timer);
    timer = setTimeout(ask, SETTLE);
  });
  form.addEventListener("submit", () => clearTimeout(timer));
}

document.addEventListener("submit", (event) => {
  const wrong = [...event.target.querySelectorAll("[data-json], [data-number]")].filter(tell);
  if (!wrong.length) return;
  event.preventDefault();
  wrong[0].focus();
});
document.querySelector("[aria-invalid=true]")?.focus();
