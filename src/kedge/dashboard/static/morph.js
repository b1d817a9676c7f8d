// Makes the children of one element those of another, changing only what differs. Elements with an id are found again by it.

export function morph(old, wanted) {
  const kept = new Map();
  for (const child of old.children) if (child.id) kept.set(child.id, child);
  let place = old.firstChild;
  for (const next of [...wanted.childNodes]) {
    const match = next.id && kept.has(next.id) ? kept.get(next.id) : place && alike(place, next) ? place : null;
    if (!match) {
      old.insertBefore(next, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType !== Node.ELEMENT_NODE) {
      if (match.data !== next.data) match.data = next.data;
    } else if (!match.isEqualNode(next)) {
      attributes(match, next);
      if (!match.hasAttribute("data-own")) morph(match, next); // what a module draws itself is the module's
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !(one.id && one.id !== other.id) && !(other.id && one.id !== other.id);
}

function attributes(old, wanted) {
  const own = old.nodeName === "DETAILS" ? ["open"] : ["INPUT", "SELECT", "TEXTAREA"].includes(old.nodeName) ? ["value", "checked"] : [];
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name) && !own.includes(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
}
