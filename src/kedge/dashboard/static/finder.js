// A worker: which lines of a log a regular expression finds. It says when it begins, so that who waits too long can end it:
// some expressions, such as (a+)+$, take years for one line.
postMessage({ ready: true });
addEventListener("message", ({ data: { pattern, first, lines } }) => {
  const found = new RegExp(pattern, "i"), hits = [];
  lines.forEach((line, number) => found.test(line) && hits.push(first + number));
  postMessage({ hits });
});
