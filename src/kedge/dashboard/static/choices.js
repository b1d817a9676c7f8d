// Fields that are told what there is while somebody types: `<input list="ID" data-choices="/choices/experiments">` and a datalist.
// Without this they are fields for a name.
const SETTLE = 200; // milliseconds
let timer = 0;

async function tell(input) {
  const place = document.getElementById(input.getAttribute("list"));
  try {
    const answer = await fetch(`${input.dataset.choices}?q=${encodeURIComponent(input.value)}`, { headers: { Accept: "application/json" } });
    if (!answer.ok || !place) return;
    const { names } = await answer.json();
    place.replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
  } catch {
    // the page is being left
  }
}

document.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.matches?.("input[data-choices]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => tell(input), SETTLE);
});
document.addEventListener("focusin", (event) => event.target.matches?.("input[data-choices]") && tell(event.target));
