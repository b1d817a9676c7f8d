// The list of runs: how many are chosen, all of a page at once, and how long runs take that are not over.
const boxes = () => [...document.querySelectorAll('#runs-form input[name="run"]')];

function told() {
  const every = boxes();
  const count = every.filter((box) => box.checked).length;
  const place = document.getElementById("runs-chosen");
  const words = count ? `${count} chosen` : "";
  if (place && place.textContent !== words) place.textContent = words;
  const all = document.getElementById("runs-all");
  if (!all) return;
  all.hidden = false;
  all.checked = count > 0 && count === every.length;
  all.indeterminate = count > 0 && count < every.length;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "runs-all") for (const box of boxes()) box.checked = event.target.checked;
  told();
});
document.addEventListener("kedge:changed", told);
told();

// As the server writes it.
function lasted(seconds) {
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

setInterval(() => {
  if (document.hidden) return;
  for (const place of document.querySelectorAll("[data-since]"))
    place.textContent = lasted(Math.max(0, (Date.now() - Date.parse(place.dataset.since)) / 1000));
}, 1000);
