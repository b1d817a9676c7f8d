// Comparing runs: the line of a run stands out while its name, or the line itself, is pointed at or has the focus.
function stand(run) {
  const plot = document.querySelector("svg.parallel");
  if (!plot) return;
  plot.classList.toggle("one", run !== undefined);
  for (const line of plot.querySelectorAll("g.run")) line.classList.toggle("on", line.dataset.run === run);
}

for (const [begins, ends] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  document.addEventListener(begins, (event) => {
    const place = event.target.closest?.("[data-run]");
    if (place) stand(place.dataset.run);
  });
  document.addEventListener(ends, (event) => event.target.closest?.("[data-run]") && stand(undefined));
}
