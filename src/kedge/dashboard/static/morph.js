// Makes the children of one element those of another, changing only what differs. Elements with an id are found again by it.

export function morph(old, wanted) {
  const kept = new Map();
  for (const child of old.children) if (child.id) kept.set(child.id, child);
  const nodes = [...wanted.childNodes];
  let place = old.firstChild;
  nodes.forEach((next, number) => {
    let match = (next.id && kept.get(next.id)) || null;
    if (!match) {
      while (place && !alike(place, next) && isGone(place, next, nodes.slice(number + 1))) place = without(place);
      if (place && alike(place, next)) match = place;
    }
    if (!match) {
      old.insertBefore(next, place);
      return;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType !== Node.ELEMENT_NODE) {
      if (match.data !== next.data) match.data = next.data;
    } else if (!match.isEqualNode(next)) {
      attributes(match, next);
      if (!match.hasAttribute("data-own")) morph(match, next); // what a module draws itself is the module's
    }
  });
  while (place) place = without(place);
}

// Whether nothing that is still wanted could be made of a node. Space between elements is nothing.
function isGone(place, next, later) {
  if (place.nodeType === Node.TEXT_NODE && !place.data.trim()) return next.nodeType === Node.ELEMENT_NODE;
  return !later.some((each) => alike(place, each));
}

function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !(one.id && one.id !== other.id) && !(other.id && one.id !== other.id);
}

function attributes(old, wanted) {
  const own = old.nodeName === "DETAILS" ? ["open"] : ["INPUT", "SELECT", "TEXTAREA"].includes(old.nodeName) ? ["value", "checked"] : [];
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name) && !own.includes(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
}
