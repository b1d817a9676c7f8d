// Draws what the macro `plot` has put on a page: the first of them loads Plotly when it is seen. A page that has one loads this
// module. What stands in its place before, such as a table for those without scripts, goes when the plot is there.
//
// Plotly would add styles to the page, which the page's policy forbids. It leaves that where it finds elements by these names, so they
// are there before it: plots.css instead of its own rules, and nothing instead of those of maps. What is WebGL (parcoords, scattergl)
// and what sets style attributes (scales of colours, heatmaps without gaps) does not work under the policy.
const MAPS = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
const CONFIG = { displayModeBar: false, responsive: true, showTips: false };
const HEATMAP = { xgap: 1, ygap: 1, showscale: false };

let loading = null;

function plotly() {
  loading ??= new Promise((loaded, failed) => {
    const rules = Object.assign(document.createElement("link"), { id: "plotly.js-style-global", className: "no-inline-styles", rel: "stylesheet" });
    const script = document.createElement("script");
    document.head.append(rules, Object.assign(document.createElement("meta"), { id: MAPS }), script);
    rules.onload = () => (script.src = new URL("plotly.min.js", import.meta.url));
    script.onload = () => loaded(window.Plotly);
    rules.onerror = script.onerror = () =>
      failed(new Error("Plots cannot be drawn: this installation of Kedge has no plotly.min.js. Install the wheel; in a checkout, run make setup. Then start the host again."));
    rules.href = new URL("plots.css", import.meta.url);
  });
  return loading;
}

// The colours of the page's theme, as the browser has resolved them.
function colours(place) {
  const probe = place.appendChild(document.createElement("span"));
  const resolved = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = {
    text: resolved("--text"), quiet: resolved("--quiet"), line: resolved("--line"), panel: resolved("--panel"), raised: resolved("--raised"),
    accent: resolved("--accent"), series: [1, 2, 3, 4, 5, 6].map((number) => resolved(`--plot-${number}`)),
  };
  probe.remove();
  return found;
}

function themed(layout, { text, quiet, line, panel, series }, font) {
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, tickcolor: line, tickfont: { color: quiet }, automargin: true };
  const found = {
    autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", colorway: series, font: { family: font, color: text, size: 12 },
    margin: { l: 48, r: 12, t: 12, b: 40 }, hoverlabel: { bgcolor: panel, bordercolor: line, font: { color: text } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, dragmode: false, ...layout,
  };
  for (const name of new Set(["xaxis", "yaxis", ...Object.keys(layout)])) if (/^[xy]axis\d*$/.test(name)) found[name] = { ...axis, ...layout[name] };
  return found;
}

const drawn = new WeakMap(); // by its place: the element that is Plotly's, and what it shows

async function draw(place) {
  const plot = place.dataset.plot;
  const { data, layout } = JSON.parse(plot);
  try {
    const library = await plotly();
    const inner = drawn.get(place)?.inner ?? document.createElement("div");
    if (inner.parentNode !== place) place.replaceChildren(inner);
    inner.setAttribute("role", "img");
    inner.setAttribute("aria-label", place.dataset.label);
    drawn.set(place, { inner, plot });
    const found = colours(place);
    const heat = { colorscale: [[0, found.raised], [1, found.accent]], ...HEATMAP };
    const traces = data.map((trace) => (trace.type === "heatmap" ? { ...heat, ...trace } : trace));
    await library.react(inner, traces, themed(layout, found, getComputedStyle(place).fontFamily), CONFIG);
  } catch (error) {
    const told = Object.assign(document.createElement("p"), { className: "fault", textContent: error.message });
    told.setAttribute("role", "alert");
    place.replaceChildren(told);
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    draw(target);
  }
});

// Draws those of a part of a page that are new, or show something else by now.
export function begin(root = document) {
  for (const place of root.querySelectorAll("[data-plot]")) if (drawn.get(place)?.plot !== place.dataset.plot) seen.observe(place);
}

function again() {
  for (const place of document.querySelectorAll("[data-plot]")) if (drawn.has(place)) draw(place);
}

document.addEventListener("kedge:changed", (event) => begin(event.target));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
begin();
