// <kedge-log src="/address/of/the/log" attempts="1">: a log that follows, searches and folds. It begins where it is put into a
// page, and lets go of its connection when it is taken out. What steps write only ever becomes text.

const TAIL = 2000; // lines at first
const MOST_LINES = 200000; // that are kept, and as it grows twice what was asked for; earlier ones go, and the page says so
const MOST_CHARACTERS = 40e6;
const BLOCK = 200; // lines that are drawn together
const WHOLE = 4000; // lines up to which all are drawn; of more, those that are near what is seen
const NEAR = "1500px";
const TOGETHER = 40; // milliseconds in which what comes is drawn at once
const LONGEST = 20000; // characters of a line that are shown
const PATIENCE = 5000; // milliseconds in which two hundred lines are looked through
const TOO_LONG = "This regular expression takes too long. Try one without a repetition of a repetition.";
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

const bare = (text) => (text.includes("\x1b") ? text.replace(ESCAPE, "") : text);

// What holds after a line; nothing is drawn.
function inked(text, style) {
  if (text.includes("\x1b")) for (const found of text.matchAll(ESCAPE)) if (found[2] === "m") restyle(style, found[1]);
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
    this.seen.disconnect();
    clearTimeout(this.timer);
    this.leaveFinder();
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
    this.pattern = element("input", { type: "checkbox" });
    this.pattern.addEventListener("change", () => this.search());
    const pattern = element("label", { title: "What is looked for is a regular expression" });
    pattern.append(this.pattern, " Regular expression");
    this.seen = new IntersectionObserver((entries) => this.look(entries), { root: this.text, rootMargin: `${NEAR} 0px` });
    this.find.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape" && this.find.value) {
        event.stopPropagation();
        this.find.value = "";
        this.search();
      }
    });
    const finding = element("span", { className: "row log-find" });
    finding.append(this.find, before, after, this.count, pattern);
    this.end = element("button", { type: "button", className: "log-end", textContent: "To the end ↓", hidden: true });
    this.end.addEventListener("click", () => this.toEnd());
    this.text.addEventListener("scroll", () => (this.end.hidden = this.atEnd()), { passive: true });
    this.form.append(view, finding);
    this.form.after(this.earlier);
    this.arrived = false; // until then the page's own text stands there, of which nothing is found
    this.hits = [];
    this.now = -1;
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
    this.place = again && this.blocks?.length && !this.atEnd() ? this.text.scrollTop : null;
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
      if (answer.status === 401) location.reload(); // somebody has signed out
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
        this.held += done ? decoder.decode() : decoder.decode(value, { stream: true });
        if (done) break;
        this.timer ??= setTimeout(() => this.take(), TOGETHER);
      }
      this.take();
      if (this.rest) this.add("\n"); // its last line has no end
      if (this.find.value) this.tell();
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
    this.arrived = true;
    clearTimeout(this.timer);
    this.timer = null;
    this.held = "";
    this.seen.disconnect();
    this.text.replaceChildren();
    this.blocks = []; // {place, lines, first, ink, drawn, height}
    this.ink = {};
    this.rest = "";
    this.last = null; // the line that has no end yet
    this.watched = false;
    this.shown = this.dropped = this.characters = this.tall = 0;
    this.earlier.hidden = true;
    this.leaveFinder();
    this.hits = [];
    this.now = -1;
    this.count.textContent = "";
    this.end.hidden = true;
  }

  take() {
    clearTimeout(this.timer);
    this.timer = null;
    const piece = this.held;
    this.held = "";
    if (piece) this.add(piece);
  }

  add(piece) {
    const follows = this.atEnd(), first = this.dropped + this.shown;
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop();
    this.last?.remove();
    this.last = null;
    const changed = new Set();
    for (const line of lines) changed.add(this.keep(line));
    if (this.rest.length > 2 * LONGEST) this.rest = this.rest.slice(0, LONGEST) + this.rest.slice(-LONGEST);
    this.bound();
    const last = this.blocks.slice(-5);
    for (const block of changed) {
      if (!block.place.isConnected) continue;
      if (last.includes(block) || this.shown <= WHOLE) this.draw(block);
      else this.leave(block);
    }
    if (this.shown > WHOLE) for (const block of this.watched ? changed : this.blocks) this.seen.observe(block.place);
    this.watched = this.shown > WHOLE;
    if (this.rest) {
      this.text.append((this.last = this.line(this.rest, { ...this.ink })));
      this.last.style.counterReset = `line ${this.dropped + this.shown}`;
    }
    this.earlier.hidden = this.lines >= MOST_LINES || (!this.dropped && this.shown < this.lines);
    if (this.find.value) this.search(first);
    if (this.place !== null) {
      this.text.scrollTop = this.place;
      if (this.text.scrollTop >= this.place - 1) this.place = null;
      this.end.hidden = this.atEnd();
    } else if (follows) this.toEnd();
    else this.end.hidden = false;
  }

  // Puts a line into the last block; says which that is.
  keep(line) {
    let block = this.blocks.at(-1);
    if (!block || block.lines.length >= BLOCK) {
      block = { place: element("span", { className: "log-block" }), lines: [], first: this.dropped + this.shown, ink: { ...this.ink }, drawn: false, height: 0 };
      block.place.style.counterReset = `line ${block.first}`;
      block.place.log = block;
      this.blocks.push(block);
      this.text.append(block.place);
    }
    const drawn = line.replace(/\r+$/, "");
    const whole = drawn.slice(drawn.lastIndexOf("\r") + 1); // of what was written over, the last
    const kept = whole.length > LONGEST ? `${whole.slice(0, LONGEST)}\x1b[0m … and ${whole.length - LONGEST} characters more: download it to read them` : whole;
    block.lines.push(kept);
    inked(kept, this.ink);
    this.shown++;
    this.characters += kept.length + 1;
    return block;
  }

  // Draws what of a block is not drawn yet.
  draw(block) {
    if (!block.drawn) {
      block.place.replaceChildren();
      block.place.style.height = "";
      block.style = { ...block.ink };
    }
    block.drawn = true;
    for (let number = block.place.childElementCount; number < block.lines.length; number++) block.place.append(this.line(block.lines[number], block.style));
    for (const hit of this.hitsIn(block)) block.place.children[hit - block.first]?.classList.add("log-hit");
    const now = this.hits[this.now];
    if (now >= block.first) block.place.children[now - block.first]?.classList.add("log-now");
  }

  // Of a block that is far from what is seen only its height stays.
  leave(block) {
    this.tall ||= this.text.querySelector(".log-line")?.getBoundingClientRect().height || 18;
    block.height = block.drawn && block.place.offsetHeight ? block.place.offsetHeight : block.lines.length * this.tall;
    block.place.replaceChildren();
    block.place.style.height = `${block.height}px`;
    block.drawn = false;
  }

  look(entries) {
    for (const { target, isIntersecting } of entries) {
      const block = target.log;
      if (!target.isConnected || this.shown <= WHOLE) continue;
      if (isIntersecting && !block.drawn) this.draw(block);
      else if (!isIntersecting && block.drawn && block !== this.blocks.at(-1)) this.leave(block);
    }
  }

  line(text, style) {
    const line = document.createElement("span");
    line.className = "log-line";
    const drawn = text.replace(/\r+$/, "");
    line.append(paint(drawn.slice(drawn.lastIndexOf("\r") + 1), style), "\n");
    return line;
  }

  // The page stays small however long somebody looks on.
  bound() {
    const before = this.dropped;
    const most = Math.min(MOST_LINES, 2 * this.lines);
    while ((this.shown > most || this.characters > MOST_CHARACTERS) && this.blocks.length > 1) {
      const [block] = this.blocks.splice(0, 1);
      this.seen.unobserve(block.place);
      block.place.remove();
      this.shown -= block.lines.length;
      this.dropped += block.lines.length;
      this.characters -= block.lines.reduce((sum, line) => sum + line.length + 1, 0);
    }
    if (this.dropped !== before) this.note.textContent = this.lost();
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

  // Which lines have what is looked for: by their numbers, all of them or those from one on.
  search(from = 0) {
    if (!this.arrived) return this.tell();
    if (from && this.find.validationMessage) return; // said already, and true of what comes too
    if (!from) {
      for (const line of this.text.querySelectorAll(".log-hit")) line.classList.remove("log-hit", "log-now");
      this.hits = [];
      this.now = -1;
    }
    const first = this.blocks[0]?.first ?? 0, gone = this.hits.findIndex((hit) => hit >= first);
    if (gone) {
      this.hits.splice(0, gone < 0 ? this.hits.length : gone);
      this.now = Math.max(-1, this.now - Math.max(gone, 0));
    }
    const text = this.find.value, small = text.toLowerCase(), slow = this.pattern.checked && text !== "";
    if (!from || !slow) this.leaveFinder();
    this.find.setCustomValidity("");
    if (slow && !this.finder && !this.begun(text)) return this.tell();
    for (const block of text ? this.blocks : []) {
      if (block.first + block.lines.length <= from) continue;
      const skipped = Math.max(0, from - block.first), lines = block.lines.slice(skipped).map(bare), begin = block.first + skipped;
      if (slow) this.ask({ pattern: text, first: begin, lines });
      else lines.forEach((line, number) => line.toLowerCase().includes(small) && this.hit(block, begin + number));
    }
    this.tell();
  }

  hit(block, number) {
    this.hits.push(number);
    if (block.drawn) block.place.children[number - block.first]?.classList.add("log-hit");
  }

  // A regular expression may take years, so another thread looks for it, and is ended when it has said nothing for some seconds.
  begun(text) {
    try {
      new RegExp(text, "i");
    } catch {
      this.find.setCustomValidity("This is no regular expression.");
      return false;
    }
    this.finder = new Worker(new URL("./finder.js", import.meta.url));
    this.asked = 0;
    this.finder.addEventListener("message", ({ data }) => {
      clearTimeout(this.patience);
      if (data.hits) this.asked--;
      const block = data.hits?.length && this.blockOf(data.hits[0]); // lines of one block are asked for together
      if (block) for (const number of data.hits) this.hit(block, number);
      if (this.asked) this.patience = setTimeout(() => this.leaveFinder(TOO_LONG), PATIENCE);
      else this.tell();
    });
    return true;
  }

  ask(wanted) {
    this.asked++;
    this.finder.postMessage(wanted);
  }

  leaveFinder(why = "") {
    clearTimeout(this.patience);
    this.finder?.terminate();
    this.finder = null;
    this.asked = 0;
    if (!why) return;
    this.find.setCustomValidity(why);
    this.tell();
  }

  blockOf(number) {
    return this.blocks.find((each) => number >= each.first && number < each.first + each.lines.length);
  }

  hitsIn(block) {
    let low = 0, high = this.hits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.hits[middle] < block.first) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < this.hits.length && this.hits[end] < block.first + block.lines.length) end++;
    return this.hits.slice(low, end);
  }

  step(by) {
    if (this.hits.length) {
      this.text.querySelector(".log-now")?.classList.remove("log-now");
      this.now = this.now < 0 && by < 0 ? this.hits.length - 1 : (this.now + by + this.hits.length) % this.hits.length;
      const number = this.hits[this.now], block = this.blockOf(number);
      if (block) {
        if (!block.drawn) this.draw(block);
        const line = block.place.children[number - block.first];
        line.classList.add("log-now");
        this.text.scrollTop += line.getBoundingClientRect().top - this.text.getBoundingClientRect().top - this.text.clientHeight / 2;
      }
    }
    this.tell();
  }

  tell() {
    const count = this.hits.length;
    if (this.find.validationMessage) this.count.textContent = this.find.validationMessage === TOO_LONG ? "takes too long" : "no regular expression";
    else if (!this.find.value) this.count.textContent = "";
    else if (!count && (this.asked || !this.arrived)) this.count.textContent = "looking…";
    else if (!count) this.count.textContent = "not found";
    else if (this.now >= 0) this.count.textContent = `${(this.now + 1).toLocaleString()} of ${count.toLocaleString()}`;
    else this.count.textContent = `${count.toLocaleString()} ${count === 1 ? "line" : "lines"}`;
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
