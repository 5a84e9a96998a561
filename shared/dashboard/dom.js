// Elements made and brought up to date. Text from outside is only ever text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";
// What a person or the browser changes in an element that stays: not put back.
const LEFT_ALONE = new Set(["open"]);

/** @typedef {Record<string, string | number | boolean | null | undefined>} Attributes */
/** @typedef {Node | string | number | false | null | undefined | Child[]} Child What says nothing is left out. */

/**
 * The element of index.html with an ID.
 *
 * @template {keyof PageElements} Id
 * @param {Id} id
 */
export const at = (id) => /** @type {PageElements[Id]} */ (document.getElementById(id));

/**
 * Makes an HTML element. Attributes that are null or false are left out, true is an empty one.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * Makes an SVG element.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Makes the children of an element those that are wanted, and keeps each node that fits: focus, scroll, selection.
 *
 * @param {Node} parent
 * @param {Child[]} wanted
 */
export function show(parent, ...wanted) {
  syncChildren(parent, nodes(wanted));
}

/**
 * Replaces an element's text where it is another.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @template {Element} Filled
 * @param {Filled} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/**
 * @param {Child[]} children
 * @returns {Node[]}
 */
function nodes(children) {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return nodes(child);
    if (child === null || child === undefined || child === false || child === "") return [];
    return child instanceof Node ? child : document.createTextNode(String(child));
  });
}

/** @param {Node} node */
const keyOf = (node) => (node instanceof Element ? node.getAttribute("data-key") : null);

/**
 * @param {Node} one
 * @param {Node} other
 */
const isAlike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

/**
 * @param {Node} parent
 * @param {Node[]} wanted
 */
function syncChildren(parent, wanted) {
  const keys = new Set(wanted.map(keyOf).filter((key) => key !== null));
  /** @type {Map<string, Node>} */
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
    if (match === place) place = match.nextSibling;
    else parent.insertBefore(match, place);
    sync(match, next);
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

/**
 * @param {Node} old
 * @param {Node} wanted
 */
function sync(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (!(old instanceof Element && wanted instanceof Element)) {
    old.nodeValue = wanted.nodeValue;
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
