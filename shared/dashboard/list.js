// The operations: newest first, as far as they were asked for, kept true while the page is open.

import * as api from "./api.js";
import { at, h, say, show } from "./dom.js";
import { counted, hostOf, number, span, time } from "./format.js";
import { LongTable } from "./long_table.js";
import { badge, stateOf } from "./states.js";
import { filterOf, href, noFilter, opened, opening, PERIODS, read } from "./view.js";

// Filters that let little through make pages that are nearly empty: so many are asked for at once, and not without end.
const MOST_PAGES = 10;
const ENOUGH = 50;
// What is looked at for news, each row of which costs: as many as still run, between these bounds.
// What runs beyond them is asked for one by one while it is seen.
const FEWEST_NEWEST = 25;
const MOST_NEWEST = 100;
const MOST_SINGLES = 5;
// Characters of an operation ID.
const KEPT_END = 18;

/** @typedef {import("./view.js").View} View */
/** @typedef {{ items: Api.Operation[], token: string | null }} Page With the token of what follows, if anything does. */

/** @param {import("./api.js").Name} name */
export const keyOf = ({ operationId, cluster, database, table }) => [operationId, cluster, database, table].join("\n");

/**
 * What the API is asked for: by a searched ID in all time, else in the period or the span that is set.
 *
 * @param {View} view
 * @param {number} now in milliseconds.
 */
export function queryOf(view, now) {
  const since = view.since || (view.id ? "" : new Date(now - PERIODS[view.period].ms).toISOString());
  return {
    state: view.state,
    cluster: view.cluster,
    database: view.database,
    table: view.table,
    errorCode: view.code,
    operationId: view.id,
    since,
    until: view.until,
  };
}

/**
 * When it was registered, for comparing: without its Z, which stands after a fraction's point.
 *
 * @param {Api.Operation} operation
 */
const moment = ({ registeredAt }) => registeredAt.slice(0, -1);

/**
 * Puts what a page from the top shows in the place of what was known of its span; the newest first.
 *
 * @param {Api.Operation[]} known
 * @param {Api.Operation[]} page
 * @param {boolean} reachesEnd
 */
export function merged(known, page, reachesEnd) {
  const fresh = new Set(page.map(keyOf));
  const oldest = page.at(-1);
  /** @param {Api.Operation} each */
  const isCovered = (each) => reachesEnd || (oldest !== undefined && moment(each) > moment(oldest));
  const kept = known.filter((each) => !fresh.has(keyOf(each)) && !isCovered(each));
  return [...page, ...kept].sort((one, other) =>
    moment(one) < moment(other) ? 1 : moment(one) > moment(other) ? -1 : 0,
  );
}

/**
 * What the period has left behind goes, so that a page that stays open shows the last hour and no more.
 *
 * @param {Api.Operation[]} items
 * @param {View} view
 * @param {number} now in milliseconds.
 */
export function within(items, view, now) {
  const since = queryOf(view, now).since && Date.parse(queryOf(view, now).since);
  return since ? items.filter(({ registeredAt }) => Date.parse(registeredAt) >= since) : items;
}

export class OperationsList {
  /** @type {Api.Operation[]} */
  #items = [];
  /** @type {string | null} */
  #token = null;
  /** @type {import("./api.js").Query} */
  #query = {};
  #view = read();
  #turn = 0;
  #isLoading = true;
  #single = 0;

  /**
   * @param {object} told
   * @param {() => void} told.onChange is called where others than the newest have changed.
   * @param {(text: string) => void} told.announce
   */
  constructor({ onChange, announce }) {
    this.table = at("operations-table");
    this.onChange = onChange;
    this.announce = announce;
    /** @type {(item: Api.Operation, place: number) => HTMLTableRowElement} */
    const row = (item, place) => this.#row(item, place);
    this.rows = new LongTable(this.table, row, keyOf);
    this.more = at("more");
    this.more.addEventListener("click", () => this.loadMore());
    this.#draw();
  }

  /** Whatever was loaded is of another filter now. */
  reset() {
    this.#turn += 1;
    this.#view = read();
    this.#query = queryOf(this.#view, api.now());
    this.#items = [];
    this.#token = null;
    this.#isLoading = true;
    this.#draw();
  }

  /** Asks what is new: everything after a reset, else the newest and what is seen and not ended. */
  async refresh() {
    const turn = this.#turn;
    if (this.#isLoading) {
      const first = await this.#pages(null, ENOUGH);
      if (turn !== this.#turn) return;
      this.#isLoading = false;
      this.#take(first.items, first.token);
      this.announce(
        this.#items.length || this.#token
          ? `${counted(this.#items.length, "operation")} shown`
          : "No operation matches",
      );
      return;
    }
    const { items, token, isWhole } = await this.#newest();
    const join = () => within(isWhole ? merged(this.#items, items, token === null) : items, this.#view, api.now());
    const singles = await this.#seenAndRunning(join(), items);
    if (turn !== this.#turn) return;
    const before = this.#items;
    // Only now, since more may have been loaded meanwhile.
    const joined = join();
    // Too much is new to join it to what was loaded: the list begins anew, and more of the old one is no longer wanted.
    if (!isWhole) this.#turn += 1;
    this.#take(
      joined.flatMap((each) => singles.get(keyOf(each)) ?? [each]),
      isWhole ? this.#token : token,
    );
    if (before.length !== this.#items.length || before.some((each, index) => !isSame(each, this.#items[index])))
      this.onChange();
  }

  async loadMore() {
    if (this.more.hasAttribute("aria-disabled")) return;
    const turn = this.#turn;
    const first = this.#items.length;
    this.more.setAttribute("aria-disabled", "true");
    say(this.more, "Loading …");
    const note = at("more-note");
    try {
      const { items, token } = await this.#pages(this.#token, ENOUGH);
      if (turn !== this.#turn) return;
      const hadFocus = document.activeElement === this.more;
      const known = new Set(this.#items.map(keyOf));
      this.#take([...this.#items, ...items.filter((each) => !known.has(keyOf(each)))], token);
      this.announce(`${counted(this.#items.length - first, "more operation")} loaded`);
      say(note, "");
      // The button goes with the last page: the focus goes on with what it has brought.
      const next = this.#items[first];
      if (hadFocus && token === null && next) this.linkOf(next)?.focus();
    } catch (error) {
      say(note, `More could not be loaded. ${api.Problem.of(error).message}. Try again.`);
      this.announce(note.textContent);
    } finally {
      this.more.removeAttribute("aria-disabled");
      this.#draw();
    }
  }

  /** Marks the open operation, and writes the addresses of the rows anew. */
  redraw() {
    this.#view = read();
    this.#draw();
  }

  /** @param {import("./api.js").Name} name */
  linkOf(name) {
    return [...this.table.querySelectorAll("a")].find((each) => each.dataset.operation === name.operationId);
  }

  get known() {
    return this.#items;
  }

  /**
   * @param {string | null} from
   * @param {number} enough
   * @returns {Promise<Page>}
   */
  async #pages(from, enough) {
    const turn = this.#turn;
    /** @type {Api.Operation[]} */
    const items = [];
    let token = from;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const answer = await api.operations({ ...this.#query, continuationToken: token });
      items.push(...answer.operations);
      token = answer.continuationToken;
      if (token === null || items.length >= enough || turn !== this.#turn) break;
    }
    return { items, token };
  }

  /**
   * The newest, down to what is known already; `isWhole` is false where there is more between.
   *
   * @returns {Promise<Page & { isWhole: boolean }>}
   */
  async #newest() {
    const turn = this.#turn;
    const [newest] = this.#items;
    const running = this.#items.slice(0, MOST_NEWEST).findLastIndex(({ state }) => state === "InProgress");
    const limit = Math.max(FEWEST_NEWEST, running + 1);
    /** @type {Api.Operation[]} */
    const items = [];
    /** @type {string | null} */
    let token = null;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const answer = await api.operations({ ...this.#query, continuationToken: token }, limit);
      items.push(...answer.operations);
      token = answer.continuationToken;
      if (token === null || turn !== this.#turn) return { items, token, isWhole: true };
      if (newest !== undefined && answer.operations.some((each) => moment(each) <= moment(newest)))
        return { items, token, isWhole: true };
      // With nothing loaded there is nothing to join it to.
      if (newest === undefined && items.length >= ENOUGH) break;
    }
    return { items, token, isWhole: false };
  }

  /**
   * Those in sight that are still running and older than the newest: a few at a time, each in its turn.
   *
   * @param {Api.Operation[]} joined
   * @param {Api.Operation[]} newest
   * @returns {Promise<Map<string, Api.Operation[]>>} what is to stand in the place of each: nothing where it is gone, or
   *   fits the filter no more.
   */
  async #seenAndRunning(joined, newest) {
    const asked = new Set(newest.map(keyOf));
    const seen = new Set(this.rows.shown.map(keyOf));
    const running = joined.filter(
      (each) => each.state === "InProgress" && seen.has(keyOf(each)) && !asked.has(keyOf(each)),
    );
    const start = running.length ? this.#single % running.length : 0;
    const some = [...running.slice(start), ...running.slice(0, start)].slice(0, MOST_SINGLES);
    this.#single = start + some.length;
    const states = this.#view.state ? this.#view.state.split(",") : null;
    /** @type {Map<string, Api.Operation[]>} */
    const found = new Map();
    /** @param {Api.Operation} each */
    const ask = async (each) => {
      try {
        const operation = await api.operation(each);
        found.set(keyOf(each), states && !states.includes(operation.state) ? [] : [operation]);
      } catch (error) {
        if (api.Problem.of(error).status === 404) found.set(keyOf(each), []);
      }
    };
    await Promise.all(some.map(ask));
    return found;
  }

  /**
   * @param {Api.Operation[]} items
   * @param {string | null} token
   */
  #take(items, token) {
    this.#items = items;
    this.#token = token;
    this.#draw();
  }

  #draw() {
    const isEmpty = !this.#isLoading && this.#items.length === 0;
    at("operations").setAttribute("aria-busy", String(this.#isLoading));
    this.table.setAttribute("aria-rowcount", String(this.#token === null ? this.#items.length + 1 : -1));
    const focused = document.activeElement;
    const row = this.table.contains(focused) ? focused?.closest("tr")?.rowIndex : undefined;
    this.rows.show(this.#items);
    // A row that had the focus and is gone hands it to the one in its place.
    if (row !== undefined && !focused?.isConnected)
      (this.table.rows[Math.min(row, this.table.rows.length - 1)]?.querySelector("a") ?? this.table).focus();
    this.table.hidden = isEmpty;
    at("skeleton").hidden = !this.#isLoading;
    const empty = at("empty");
    empty.hidden = !isEmpty;
    if (isEmpty) show(empty, ...emptiness(this.#view, this.#token !== null));
    this.more.hidden = this.#isLoading || this.#token === null;
    if (!this.more.hasAttribute("aria-disabled")) say(this.more, isEmpty ? "Look further back" : "Load more");
    const end = this.#items.length > ENOUGH ? "These are all." : "";
    say(
      at("loaded"),
      this.#isLoading || isEmpty
        ? ""
        : `${counted(this.#items.length, "operation")} loaded. ${this.#token === null ? end : ""}`,
    );
  }

  /**
   * @param {Api.Operation} operation
   * @param {number} place
   */
  #row(operation, place) {
    const { operationId, cluster, database, table, state, attempt, blobs, registeredAt, firstErrorCode } = operation;
    const open = opened(this.#view);
    const isOpen = open !== null && open.operationId === operationId && (!open.table || open.table === table);
    const link = {
      href: href(opening(operation)),
      "data-operation": operationId,
      "aria-label": operationId,
      "aria-current": isOpen ? "true" : null,
    };
    return h(
      "tr",
      { role: "row", "data-key": keyOf(operation), "aria-rowindex": place + 2, class: isOpen ? "is-open" : null },
      cell("state", badge(stateOf(state))),
      h(
        "th",
        { scope: "row", role: "rowheader", class: "id" },
        h("a", link, ends(operationId)),
        attempt > 1 && h("small", { class: "tag" }, `attempt ${attempt}`),
      ),
      cell("place", h("span", { title: hostOf(cluster) }, `${database} / ${table}`)),
      cell("blobs figure", blobsText(blobs)),
      cell("error", firstErrorCode && h("code", {}, firstErrorCode)),
      cell("when", time(registeredAt, { isShort: true })),
      cell("took figure", took(operation)),
    );
  }
}

/**
 * @param {string} name
 * @param {import("./dom.js").Child[]} content
 */
const cell = (name, ...content) => h("td", { role: "cell", class: name }, ...content);

/**
 * @param {Api.Operation} one
 * @param {Api.Operation | undefined} other
 */
const isSame = (one, other) =>
  other !== undefined && keyOf(one) === keyOf(other) && JSON.stringify(one) === JSON.stringify(other);

/**
 * An ID whose end stays to be seen where there is no room for all of it: its beginning is that of many others.
 *
 * @param {string} operationId
 */
function ends(operationId) {
  const place = Math.max(0, operationId.length - KEPT_END);
  return [h("span", { class: "head" }, operationId.slice(0, place)), operationId.slice(place)];
}

/** @param {Api.BlobCounts} blobs */
function blobsText(blobs) {
  const total = blobs.succeeded + blobs.failed + blobs.inProgress + blobs.canceled;
  if (!total) return h("span", { class: "quiet" }, "–");
  return [
    `${number(blobs.succeeded)} of ${number(total)}`,
    blobs.failed > 0 && h("small", { class: "bad" }, `${number(blobs.failed)} failed`),
  ];
}

/**
 * How long it took; of what still runs only whole minutes, so that a row that did not change stays as it is.
 *
 * @param {Api.Operation} operation
 */
export function took({ registeredAt, settledAt }) {
  const end = settledAt ? Date.parse(settledAt) : api.now();
  const length = end - Date.parse(registeredAt);
  return settledAt
    ? span(length)
    : length < 60_000
      ? "just begun"
      : `${span(Math.floor(length / 60_000) * 60_000)} so far`;
}

/**
 * @param {View} view
 * @param {boolean} isMore
 */
function emptiness(view, isMore) {
  const clear = h("a", { href: href(noFilter()), class: "button" }, "Clear the filters");
  if (view.id)
    return [
      h("h3", {}, "No operation ID begins with “", h("span", { class: "said" }, view.id), "”."),
      h("p", {}, "Searched in all time, in capital and small letters as typed. Was it posted to the app's queue?"),
      clear,
    ];
  if (Object.values(filterOf(view)).some(Boolean))
    return [
      h("h3", {}, isMore ? "Nothing among the newest matches these filters." : "No operation matches these filters."),
      clear,
    ];
  return [
    h("h3", {}, `No operation in the last ${PERIODS[view.period].text}.`),
    h("p", {}, "Post an operation ID to the queue ", h("code", {}, "ingestion-operations"), ", and it appears here."),
  ];
}
