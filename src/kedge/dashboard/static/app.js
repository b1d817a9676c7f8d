// What every page has: what is live, moments in the reader's own time, questions before what
// cannot be undone, copying, parts that are asked for when they are seen, and old addresses.
import { begin } from "./live.js";
import "./choices.js";
import "./copy.js";
import "./parts.js";
import "./task.js";

// Kubeflow Pipelines' own addresses, which its SDK prints: /#/runs/details/ID.
const old = /^#\/(runs|pipelines|experiments|recurringrun|recurringruns)\/details\/([^/?]+)/.exec(location.hash);
if (old && location.pathname === "/") {
  const places = { recurringrun: "/schedules/", recurringruns: "/schedules/", experiments: "/runs?experiment_id=" };
  location.replace((places[old[1]] ?? `/${old[1]}/`) + encodeURIComponent(decodeURIComponent(old[2])));
} else if (document.querySelector("meta[name=again]")) {
  // A link of another site led here, and the browser kept the cookie back: asked from here, it sends it.
  location.replace(location.href.split("#")[0]);
}

export function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!isNaN(moment)) time.title = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  }
}
localTimes(document);
document.addEventListener("kedge:changed", (event) => localTimes(event.target));

document.addEventListener("submit", (event) => {
  const sure = event.target.dataset.sure;
  if (sure && !confirm(sure)) event.preventDefault();
});

// The answer to a form that was refused is the page that the form is on: that is what is loaded again, and kept.
const refused = document.querySelector("[data-here]");
if (refused) history.replaceState(null, "", refused.dataset.here);
document.addEventListener("click", (event) => event.target.closest('[aria-disabled="true"]') && event.preventDefault());

begin();
