// Elements made and brought up to date. Text from outside is only ever text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";
// What a person or the browser changes in an element that stays: not put back.
const LEFT_ALONE = new Set(["open"]);

/** Makes an HTML element. Attributes that are null or false are left out, true is an empty one. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Makes an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Makes the children of an element those that are wanted, and keeps each node that fits: focus, scroll, selection. */
export function show(parent, ...wanted) {
  syncChildren(parent, nodes(wanted));
}

/** Replaces an element's text where it is another. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

const isAlike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function syncChildren(parent, wanted) {
  const keys = new Set(wanted.map(keyOf).filter((key) => key !== null));
  const kept = new Map();
  for (const child of [...parent.childNodes]) {
    const key = keyOf(child);
    if (key === null) continue;
    // Gone first, so that what follows need not move: a node that moves loses the focus.
    if (keys.has(key)) kept.set(key, child);
    else child.remove();
  }
  let place = parent.firstChild;
  for (const next of wanted) {
    const key = keyOf(next);
    const match = key === null ? place : kept.get(key);
    if (!match || !isAlike(match, next)) {
      parent.insertBefore(next, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else parent.insertBefore(match, place);
    sync(match, next);
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function sync(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = wanted.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !LEFT_ALONE.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value && !LEFT_ALONE.has(name)) old.setAttribute(name, value);
  }
  syncChildren(old, [...wanted.childNodes]);
}
