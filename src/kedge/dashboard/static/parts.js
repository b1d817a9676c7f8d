// Parts of pages that are asked for when they are seen: <kedge-part src="/the/part"><a href="/its/page">…</a></kedge-part>. What is
// folded is not seen. Without scripts the link leads to the page. What a part shows does not change, so it is asked for once.
const NEAR = "200px"; // before it is in sight
const HOST = "The host does not answer. See whether it runs (kedge status), then try again.";

const seen = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => isIntersecting && target.load()), { rootMargin: NEAR });

class KedgePart extends HTMLElement {
  static observedAttributes = ["src"];

  connectedCallback() {
    this.link ??= this.querySelector("a");
    if (!this.shown) seen.observe(this);
  }

  disconnectedCallback() {
    seen.unobserve(this);
  }

  attributeChangedCallback(_, before) {
    if (before === null || !this.isConnected) return;
    this.shown = "";
    this.replaceChildren();
    seen.unobserve(this);
    seen.observe(this);
  }

  async load() {
    seen.unobserve(this);
    const src = this.getAttribute("src");
    this.shown = src;
    this.setAttribute("aria-busy", "true");
    this.say("quiet", "Loading…");
    try {
      // What went wrong is asked for as JSON, what did not is a part of a page.
      const answer = await fetch(src, { headers: { Accept: "application/json, text/html" } });
      if (answer.status === 401) location.reload();
      if (!answer.ok) throw new Error((await answer.json()).message);
      const text = await answer.text();
      if (this.shown !== src) return;
      this.innerHTML = text;
      if (this.querySelector("[data-plot]")) (await import("./plots.js")).begin(this);
      this.dispatchEvent(new CustomEvent("kedge:changed", { bubbles: true }));
    } catch (error) {
      if (this.shown === src) this.fail(error instanceof TypeError ? HOST : error.message);
    } finally {
      this.removeAttribute("aria-busy");
    }
  }

  say(kind, text, role = "") {
    const told = Object.assign(document.createElement("p"), { className: kind, textContent: text });
    if (role) told.setAttribute("role", role);
    this.replaceChildren(told);
  }

  fail(why) {
    this.say("fault", `This cannot be shown: ${why}`, "alert");
    const again = Object.assign(document.createElement("button"), { type: "button", textContent: "Try again" });
    again.addEventListener("click", () => this.load());
    const row = Object.assign(document.createElement("div"), { className: "row" });
    row.append(again, ...(this.link ? [this.link] : []));
    this.append(row);
  }
}

customElements.define("kedge-part", KedgePart);
