// `<form data-drop="file">`: a file that is dropped anywhere on the page is put into the form's field of that name.
for (const form of document.querySelectorAll("form[data-drop]")) {
  const field = form.elements[form.dataset.drop];
  const hint = form.querySelector(".drop-hint");
  if (hint) hint.hidden = false;
  const holds = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (!event.dataTransfer.files.length) return;
    field.files = event.dataTransfer.files;
    const around = form.closest("details");
    if (around) around.open = true;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
  });
}
