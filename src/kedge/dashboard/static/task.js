// A task's panel: <kedge-task data-live="/the/panel" events="/runs/1/events" path="a.b"> stays true while the run's page tells of it.
import { renew } from "./live.js";
import "./logs.js";

const PAUSE = 1000; // milliseconds between two looks

class KedgeTask extends HTMLElement {
  connectedCallback() {
    this.told = ({ detail: { address, data } }) => {
      const mine = address === this.getAttribute("events");
      if (mine && (data.state || data.faces?.some(([path]) => path === this.getAttribute("path")))) this.soon();
    };
    document.addEventListener("kedge:event", this.told);
  }

  disconnectedCallback() {
    document.removeEventListener("kedge:event", this.told);
  }

  soon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.isConnected) renew(this);
    }, PAUSE);
  }
}

customElements.define("kedge-task", KedgeTask);
