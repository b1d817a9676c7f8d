// `<button type="button" data-copy="TEXT">Copy</button>` copies its text, by pointer or key, and says so. The macro `copy` makes one.
const SAID = 1500; // milliseconds that it says so

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers keep the clipboard from pages that came over plain HTTP from another machine, and where nobody allowed it.
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "unseen", readOnly: true });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const done = await copied(button.dataset.copy);
  button.focus();
  button.said ??= button.textContent;
  button.textContent = done ? "Copied" : "The browser forbids it";
  clearTimeout(button.timer);
  button.timer = setTimeout(() => (button.textContent = button.said), SAID);
  const told = document.getElementById("copy-told") ?? document.body.appendChild(Object.assign(document.createElement("p"), { id: "copy-told", className: "unseen" }));
  told.setAttribute("role", "status");
  told.textContent = done ? (button.ariaLabel ?? button.said).replace(/^Copy/, "Copied") : "It could not be copied: the browser forbids it. Select the text instead.";
});
