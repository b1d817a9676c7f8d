// While something is being counted, the first page is asked for again now and then: no run tells of that.
import { renew } from "./live.js";

const AGAIN = 2000; // milliseconds
const part = document.getElementById("home");
let timer = 0;

function look() {
  clearTimeout(timer);
  if (part.querySelector("[data-counting]")) timer = setTimeout(again, AGAIN);
}

async function again() {
  if (!document.hidden) await renew(part);
  look();
}

part.addEventListener("kedge:changed", look);
look();
