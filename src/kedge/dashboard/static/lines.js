// `<button data-line="12" data-of="text">` leads to a line of a text area.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-line]");
  if (!button) return;
  const area = document.getElementById(button.dataset.of);
  const lines = area.value.split("\n");
  const number = Math.min(Number(button.dataset.line), lines.length) - 1;
  const start = lines.slice(0, number).join("\n").length + (number ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + lines[number].length);
  area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, number - 4);
});
