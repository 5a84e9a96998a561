// A table of any length: rows far from what is seen are put away, and their place is kept.

import { h, show } from "./dom.js";

const GROUP = 50;
const KEPT_AROUND = "1000px 0px";

/**
 * @template Item
 * @typedef {{ items: Item[], body: HTMLTableSectionElement, isShown: boolean, first: number }} Group
 */

/**
 * Shows items in groups of rows, each a tbody; only groups near the screen have their rows in the document.
 *
 * @template Item
 */
export class LongTable {
  /** @type {Group<Item>[]} */
  #groups = [];
  #observer = new IntersectionObserver((entries) => this.#seen(entries), {
    rootMargin: KEPT_AROUND,
    scrollMargin: KEPT_AROUND,
  });

  /**
   * @param {HTMLTableElement} table
   * @param {(item: Item, place: number) => HTMLTableRowElement} row makes an item's tr with its data-key.
   * @param {(item: Item) => string} keyOf names an item.
   */
  constructor(table, row, keyOf) {
    this.head = table.createTHead();
    this.row = row;
    this.keyOf = keyOf;
  }

  /**
   * Shows these items, in this order.
   *
   * @param {Item[]} items
   */
  show(items) {
    this.#regroup(items);
    let place = 0;
    for (const group of this.#groups) {
      group.first = place;
      place += group.items.length;
      if (group.isShown) this.#draw(group);
    }
  }

  /** The items that have rows now. */
  get shown() {
    return this.#groups.filter((group) => group.isShown).flatMap((group) => group.items);
  }

  /**
   * Items stay in their group; what is new joins the group beside it until that is full.
   *
   * @param {Item[]} items
   */
  #regroup(items) {
    /** @type {Map<string, Group<Item>>} */
    const known = new Map();
    for (const group of this.#groups) for (const item of group.items) known.set(this.keyOf(item), group);
    const leading = items.findIndex((item) => known.has(this.keyOf(item)));
    const firstKnown = items[leading];
    const front = leading > 0 && firstKnown ? known.get(this.keyOf(firstKnown)) : null;
    let last = front && front.items.length + leading <= 2 * GROUP ? front : null;
    for (const group of this.#groups) group.items = [];
    const ordered = last ? [last] : [];
    items.forEach((item, index) => {
      const own = known.get(this.keyOf(item));
      const most = own || index < leading ? 2 * GROUP : GROUP;
      let group = own && own !== last && !ordered.includes(own) ? own : last;
      if (!group || group.items.length >= most) group = this.#newGroup();
      if (group !== last) ordered.push(group);
      group.items.push(item);
      last = group;
    });
    this.#place(ordered);
  }

  /** @param {Group<Item>[]} ordered */
  #place(ordered) {
    for (const group of this.#groups) {
      if (group.items.length) continue;
      this.#observer.unobserve(group.body);
      group.body.remove();
    }
    this.#groups = ordered;
    let before = this.head;
    for (const { body } of ordered) {
      if (before.nextElementSibling !== body) before.after(body);
      before = body;
    }
  }

  #newGroup() {
    /** @type {Group<Item>} */
    const group = { items: [], body: h("tbody", { role: "rowgroup" }), isShown: true, first: 0 };
    this.#observer.observe(group.body);
    return group;
  }

  /** @param {Group<Item>} group */
  #draw(group) {
    show(group.body, ...group.items.map((item, index) => this.row(item, group.first + index)));
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #seen(entries) {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const group = this.#groups.find(({ body }) => body === target);
      if (!group || group.isShown === isIntersecting) continue;
      if (isIntersecting) {
        group.isShown = true;
        this.#draw(group);
      } else if (!this.#isHeld(group) && boundingClientRect.height) {
        group.isShown = false;
        this.#putAway(group, boundingClientRect.height);
      }
    }
  }

  /**
   * Rows with the focus or a part of the selection stay, and so does a table that is short.
   *
   * @param {Group<Item>} group
   */
  #isHeld({ body }) {
    if (this.#groups.length === 1) return true;
    const selection = getSelection();
    const isSelected = selection !== null && !selection.isCollapsed && selection.containsNode(body, true);
    return body.contains(document.activeElement) || isSelected;
  }

  /**
   * @param {Group<Item>} group
   * @param {number} height in pixels.
   */
  #putAway({ body }, height) {
    const cell = h("td", { colspan: this.head.rows[0]?.cells.length });
    cell.style.height = `${height}px`;
    show(body, h("tr", { class: "away", "aria-hidden": "true" }, cell));
  }
}
