// Fields of forms for inputs: what is no JSON or no number says so while it is typed, and defaults can be put back. The API
// checks all of it again.
const KINDS = { LIST: Array.isArray, STRUCT: (value) => value !== null && typeof value === "object" && !Array.isArray(value) };
const WHOLE = /^[+-]?\d+(\.0+)?$/;

function fault(field) {
  const text = field.value.trim();
  if (!text) return "";
  if (field.dataset.number) {
    if (field.dataset.number === "integer" && !WHOLE.test(text)) return "expected a whole number, such as 5";
    return isNaN(Number(text)) ? "expected a number, such as 0.5" : "";
  }
  try {
    if (KINDS[field.dataset.json]?.(JSON.parse(text))) return "";
    return field.dataset.json === "LIST" ? "expected a list, such as [1, 2]" : 'expected an object, such as {"a": 1}';
  } catch (error) {
    return place(field.value, error.message);
  }
}

function place(text, message) {
  const at = /at position (\d+)/.exec(message);
  if (!at) return message;
  const before = text.slice(0, Number(at[1])).split("\n");
  return `line ${before.length}, column ${before.at(-1).length + 1}: ${message.replace(/ (in JSON )?at position.*/, "")}`;
}

function tell(field) {
  const wrong = document.getElementById(`${field.id}-wrong`);
  const said = fault(field);
  wrong.textContent = said;
  wrong.hidden = !said;
  if (said) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  const ids = new Set((field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean));
  said ? ids.add(wrong.id) : ids.delete(wrong.id);
  field.setAttribute("aria-describedby", [...ids].join(" "));
  return said;
}

for (const field of document.querySelectorAll("[data-json], [data-number]")) field.addEventListener("input", () => tell(field));

for (const field of document.querySelectorAll("[data-default]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = "Restore the default";
  button.setAttribute("aria-label", `Restore the default of ${field.name.replace("value:", "")}`);
  const show = () => (button.hidden = field.value === field.dataset.default);
  button.addEventListener("click", () => {
    field.value = field.dataset.default;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
  field.addEventListener("input", show);
  field.addEventListener("change", show);
  show();
  document.getElementById(`${field.id}-hint`).append(button);
}

document.addEventListener("submit", (event) => {
  const wrong = [...event.target.querySelectorAll("[data-json], [data-number]")].filter(tell);
  if (!wrong.length) return;
  event.preventDefault();
  wrong[0].focus();
});
document.querySelector("[aria-invalid=true]")?.focus();
