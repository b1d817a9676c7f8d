// <kedge-log src="/address/of/the/log" attempts="1">: a log that follows, searches and folds. It begins where it is put into a
// page, and lets go of its connection when it is taken out. What steps write only ever becomes text.

const TAIL = 2000; // lines at first
const MOST_LINES = 20000; // in the page, and as it grows twice what was asked for; earlier ones go, and the page says so
const MOST_CHARACTERS = 8e6;
const LONGEST = 20000; // characters of a line that are shown
const AGAIN = 2000; // milliseconds until a connection that broke is tried again
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const ESCAPE = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^[\]]?|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

// A text with a terminal's colours as nodes: plain text, and spans with classes. `style` is what holds from the line before.
export function paint(text, style) {
  const made = document.createDocumentFragment();
  let from = 0;
  const put = (piece) => {
    if (!piece) return;
    const classes = [style.colour && `log-${style.colour}`, style.bold && "log-bold", style.faint && "log-faint", style.italic && "log-italic", style.under && "log-under"].filter(Boolean);
    if (!classes.length) return made.append(piece);
    const span = document.createElement("span");
    span.className = classes.join(" ");
    span.textContent = piece;
    made.append(span);
  };
  for (const found of text.matchAll(ESCAPE)) {
    put(text.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[2] === "m") restyle(style, found[1]);
  }
  put(text.slice(from));
  return made;
}

function restyle(style, codes) {
  const numbers = codes.split(/[;:]/).map(Number);
  for (let at = 0; at < numbers.length; at++) {
    const code = numbers[at];
    if (code === 0) for (const name of Object.keys(style)) delete style[name];
    else if (code === 1) style.bold = true;
    else if (code === 2) style.faint = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.under = true;
    else if (code === 22) style.bold = style.faint = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.under = false;
    else if (code >= 30 && code <= 37) style.colour = COLOURS[code - 30];
    else if (code >= 90 && code <= 97) style.colour = COLOURS[code - 90];
    else if (code === 39) style.colour = "";
    else if (code === 38 || code === 48) {
      const [kind, number] = [numbers[at + 1], numbers[at + 2]];
      if (code === 38) style.colour = kind === 5 && number < 16 ? COLOURS[number % 8] : "";
      at += kind === 5 ? 2 : kind === 2 ? 4 : 0;
    }
  }
}

class KedgeLog extends HTMLElement {
  static observedAttributes = ["attempts"];

  connectedCallback() {
    if (!this.form) this.build();
    this.over = false;
    // A browser keeps six connections to a host: a tab that nobody sees gives its one back.
    this.looked = () => (document.hidden ? !this.over && this.reading?.abort() : !this.over && this.open(this.lines, true));
    document.addEventListener("visibilitychange", this.looked);
    this.lines = TAIL;
    if (!document.hidden) this.open(TAIL);
  }

  // The log of one attempt; `""` for the newest.
  choose(attempt) {
    this.form.elements.attempt.value = attempt;
    this.open(TAIL);
    this.scrollIntoView({ block: "nearest" });
    this.text.focus({ preventScroll: true });
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.looked);
    this.reading?.abort();
  }

  attributeChangedCallback() {
    if (!this.form) return;
    const choice = this.form.elements.attempt;
    for (let number = choice.options.length - 1; number < Number(this.getAttribute("attempts")); number++) choice.add(new Option(number, number));
  }

  build() {
    this.form = this.querySelector("form");
    this.text = this.querySelector("pre");
    this.file = this.querySelector(".log-file");
    this.form.querySelector(".log-show").hidden = true;
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", (event) => event.target.name && this.open(TAIL));
    this.note = element("p", { className: "quiet log-note" });
    this.note.setAttribute("role", "status");
    this.earlier = element("button", { type: "button", className: "plain", textContent: "Earlier lines", hidden: true });
    this.earlier.addEventListener("click", () => this.open(this.lines * 4));
    const view = element("span", { className: "row log-view" });
    this.toggle(view, "Wrap", (on) => this.text.classList.toggle("log-wrapped", on));
    this.toggle(view, "Numbers", (on) => this.text.classList.toggle("log-numbered", on));
    this.find = element("input", { type: "search", size: 16, placeholder: "Find in the log" });
    this.find.setAttribute("aria-label", "Find in the log");
    this.count = element("span", { className: "quiet log-count" });
    this.count.setAttribute("role", "status");
    const before = element("button", { type: "button", textContent: "↑" });
    const after = element("button", { type: "button", textContent: "↓" });
    before.setAttribute("aria-label", "Previous line found");
    after.setAttribute("aria-label", "Next line found");
    before.addEventListener("click", () => this.step(-1));
    after.addEventListener("click", () => this.step(1));
    this.find.addEventListener("input", () => this.search());
    this.find.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape" && this.find.value) {
        event.stopPropagation();
        this.find.value = "";
        this.search();
      }
    });
    const finding = element("span", { className: "row log-find" });
    finding.append(this.find, before, after, this.count);
    this.end = element("button", { type: "button", className: "log-end", textContent: "To the end ↓", hidden: true });
    this.end.addEventListener("click", () => this.toEnd());
    this.text.addEventListener("scroll", () => (this.end.hidden = this.atEnd()), { passive: true });
    this.form.append(view, finding);
    this.form.after(this.earlier);
    this.text.after(this.note, this.end);
  }

  toggle(place, name, set) {
    const label = element("label", {});
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => set(box.checked));
    label.append(box, ` ${name}`);
    place.append(label);
  }

  address(options) {
    const asked = new URLSearchParams(options);
    for (const [name, value] of new FormData(this.form)) if (value) asked.set(name, value);
    return `${this.getAttribute("src")}?${asked}`;
  }

  // Read the log from so many lines before its end, and go on as it grows; `again`: where the reader was.
  async open(lines, again = false) {
    this.reading?.abort();
    this.over = false;
    this.place = again && this.text.childElementCount && !this.atEnd() ? this.text.scrollTop : null;
    const reading = (this.reading = new AbortController());
    this.lines = Math.min(lines, MOST_LINES);
    this.file.href = this.address({ download: "yes" });
    for (;;) {
      const over = await this.follow(reading.signal);
      if (reading.signal.aborted) return;
      this.over = over;
      if (over) return;
      await new Promise((done) => setTimeout(done, AGAIN));
      if (reading.signal.aborted) return;
      this.place = this.atEnd() ? null : this.text.scrollTop;
    }
  }

  // Says whether there is nothing more to come.
  async follow(signal) {
    try {
      const answer = await fetch(this.address({ tail: this.lines, follow: "yes" }), { signal, headers: { Accept: "application/json, text/plain" } });
      if (!answer.ok) {
        this.clear();
        this.note.textContent = (await answer.json()).message ?? `The host answered ${answer.status}.`;
        return true;
      }
      let over = answer.headers.get("X-Task-Over") === "yes";
      const why = decodeURIComponent(answer.headers.get("X-Log-Note") ?? "");
      this.clear();
      this.note.textContent = why || (over ? "" : "Follows the step.");
      const reader = answer.body.getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.add(decoder.decode(value, { stream: true }));
      }
      if (!over) over = (await fetch(this.address({ tail: 1 }), { signal })).headers.get("X-Task-Over") === "yes";
      if (over) this.note.textContent = this.shown || this.last ? this.lost() : why || "It wrote nothing.";
      else this.note.textContent = "The connection ended; it is tried again.";
      return over;
    } catch (error) {
      if (error.name !== "AbortError") this.note.textContent = "The host does not answer; it is asked again.";
      return false;
    }
  }

  clear() {
    this.text.replaceChildren();
    this.text.style.counterReset = "";
    this.ink = {};
    this.rest = "";
    this.last = null; // the line that has no end yet
    this.shown = this.dropped = this.characters = 0;
    this.earlier.hidden = true;
    this.hits = [];
    this.now = -1;
    this.count.textContent = "";
    this.end.hidden = true;
  }

  add(piece) {
    const follows = this.atEnd();
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop();
    const made = document.createDocumentFragment();
    if (this.last) {
      this.characters -= this.last.textContent.length;
      this.last.remove();
      this.last = null;
    }
    const fresh = lines.map((line) => this.line(line, this.ink));
    made.append(...fresh);
    this.shown += fresh.length;
    if (this.rest.length > 2 * LONGEST) this.rest = this.rest.slice(0, LONGEST) + this.rest.slice(-LONGEST);
    if (this.rest) made.append((this.last = this.line(this.rest, { ...this.ink })));
    this.text.append(made);
    this.bound();
    this.earlier.hidden = this.lines >= MOST_LINES || (!this.dropped && this.shown < this.lines);
    if (this.find.value) this.search(fresh);
    if (this.place !== null) {
      this.text.scrollTop = this.place;
      if (this.text.scrollTop >= this.place - 1) this.place = null;
      this.end.hidden = this.atEnd();
    } else if (follows) this.toEnd();
    else this.end.hidden = false;
  }

  line(text, style) {
    const line = document.createElement("span");
    line.className = "log-line";
    const drawn = text.replace(/\r+$/, "");
    const whole = drawn.slice(drawn.lastIndexOf("\r") + 1); // of what was written over, the last
    line.append(paint(whole.slice(0, LONGEST), style));
    if (whole.length > LONGEST) line.append(` … and ${whole.length - LONGEST} characters more: download it to read them`);
    line.append("\n");
    this.characters += line.textContent.length;
    return line;
  }

  // The page stays small however long somebody looks on.
  bound() {
    const before = this.dropped;
    const most = Math.min(MOST_LINES, 2 * this.lines);
    while ((this.shown > most || this.characters > MOST_CHARACTERS) && this.text.firstChild !== this.text.lastChild) {
      this.characters -= this.text.firstChild.textContent.length;
      this.text.firstChild.remove();
      this.shown--;
      this.dropped++;
    }
    if (this.dropped === before) return;
    this.text.style.counterReset = `line ${this.dropped}`;
    this.note.textContent = this.lost();
  }

  lost() {
    return this.dropped ? `${this.dropped.toLocaleString()} earlier lines are not shown any more; download the log to read all of it.` : "";
  }

  atEnd() {
    return this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 30;
  }

  toEnd() {
    this.text.scrollTop = this.text.scrollHeight;
    this.end.hidden = true;
  }

  search(fresh) {
    const wanted = this.find.value.toLowerCase();
    if (!fresh) {
      for (const line of this.text.querySelectorAll(".log-hit")) line.classList.remove("log-hit", "log-now");
      this.hits = [];
      this.now = -1;
    }
    this.hits = this.hits.filter((line) => line.isConnected);
    if (wanted) {
      for (const line of fresh ?? this.text.children) {
        if (!line.textContent.toLowerCase().includes(wanted)) continue;
        line.classList.add("log-hit");
        this.hits.push(line);
      }
    }
    this.tell();
  }

  step(by) {
    this.hits = this.hits.filter((line) => line.isConnected);
    if (this.hits.length) {
      this.hits[this.now]?.classList.remove("log-now");
      this.now = this.now < 0 && by < 0 ? this.hits.length - 1 : (this.now + by + this.hits.length) % this.hits.length;
      const line = this.hits[this.now];
      line.classList.add("log-now");
      this.text.scrollTop += line.getBoundingClientRect().top - this.text.getBoundingClientRect().top - this.text.clientHeight / 2;
    }
    this.tell();
  }

  tell() {
    const count = this.hits.length;
    this.count.textContent = !this.find.value ? "" : !count ? "not found" : this.now < 0 ? `${count} ${count === 1 ? "line" : "lines"}` : `${this.now + 1} of ${count}`;
  }
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

// <a data-attempt="0"> chooses an attempt of the log that is there.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-attempt]");
  const log = link && document.querySelector("kedge-log");
  if (!log || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  log.choose(link.dataset.attempt);
});

customElements.define("kedge-log", KedgeLog);
