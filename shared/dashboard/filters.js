// The filters of the list: fields to fill in, and a chip for each that is in force.

import { at, h, show } from "./dom.js";
import { hostOf, time } from "./format.js";
import { badge, NOT_SUCCEEDED, STATES, stateOf } from "./states.js";
import { go, href, noFilter } from "./view.js";

/** @typedef {import("./view.js").View} View */

const TYPING_MS = 300;
const MOST_KNOWN = 200;
const PLACES = /** @type {const} */ (["table", "database", "cluster"]);
const MOMENTS = /** @type {const} */ (["since", "until"]);

/** @param {HTMLDetailsElement} details */
const focusSummary = (details) => details.querySelector("summary")?.focus();

export function prepare() {
  show(
    at("state-choices"),
    ...[...STATES].map(([name, about]) =>
      h("label", { class: "choice" }, h("input", { type: "checkbox", name: "state", value: name }), badge(about)),
    ),
  );
  const form = at("filter-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    at("filters").open = false;
    focusSummary(at("filters"));
    go(fromForm(form));
  });
  at("clear-filters").addEventListener("click", () => go(noFilter()));
  prepareSearch();
  prepareClosing();
}

function prepareSearch() {
  let timer = 0;
  /** @param {boolean} isTyping */
  const search = (isTyping) => {
    clearTimeout(timer);
    go({ id: at("search-id").value.trim() }, { isTyping });
  };
  at("search-id").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search(true), TYPING_MS);
  });
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search(false);
  });
}

/** What opens over the page closes by Escape and by a click elsewhere. */
function prepareClosing() {
  const all = [at("filters"), at("health")];
  document.addEventListener("click", ({ target }) => {
    for (const each of all) if (!(target instanceof Node && each.contains(target))) each.open = false;
  });
  for (const each of all) {
    each.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !each.open) return;
      event.stopPropagation();
      each.open = false;
      focusSummary(each);
    });
  }
}

/** @param {HTMLFormElement} form */
function fromForm(form) {
  const fields = new FormData(form);
  /** @param {string} name */
  const text = (name) => String(fields.get(name) ?? "").trim();
  /** @param {string} name */
  const moment = (name) => (text(name) ? new Date(text(name)).toISOString().replace(".000Z", "Z") : "");
  return {
    state: fields.getAll("state").join(","),
    table: text("table"),
    database: text("database"),
    cluster: text("cluster"),
    since: moment("since"),
    until: moment("until"),
  };
}

/**
 * Shows the view's filters in the fields and as chips; what is being typed stays.
 *
 * @param {View} view
 */
export function showFilters(view) {
  const form = at("filter-form");
  const states = new Set(view.state.split(","));
  for (const box of fieldsOf(form, "state")) box.checked = states.has(box.value);
  for (const name of PLACES) for (const field of fieldsOf(form, name)) field.value = view[name];
  for (const name of MOMENTS) for (const field of fieldsOf(form, name)) field.value = localMinute(view[name]);
  if (document.activeElement !== at("search-id")) at("search-id").value = view.id;
  const chips = [...chipsOf(view)];
  show(
    at("chips"),
    ...chips,
    chips.length > 1 && h("li", { "data-key": "all" }, h("a", { href: href(noFilter()) }, "Clear all")),
  );
  at("chips").hidden = chips.length === 0;
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 * @returns {NodeListOf<HTMLInputElement>}
 */
const fieldsOf = (form, name) => form.querySelectorAll(`input[name="${name}"]`);

/** @param {View} view */
function* chipsOf(view) {
  if (view.state) yield chip("state", stateWords(view.state), { state: "" });
  if (view.code) yield chip("code", `Error ${view.code}`, { code: "" });
  const place = [view.cluster && hostOf(view.cluster), view.database, view.table].filter(Boolean).join(" / ");
  if (place) yield chip("place", place, { cluster: "", database: "", table: "" });
  if (view.since || view.until)
    yield chip(
      "time",
      [
        view.since ? time(view.since, { isShort: true }) : "…",
        " – ",
        view.until ? time(view.until, { isShort: true }) : "now",
      ],
      { since: "", until: "" },
    );
  if (view.id) yield chip("id", `ID begins with ${view.id}`, { id: "" });
}

/** @param {string} text */
function stateWords(text) {
  const names = text.split(",");
  if (names.length === NOT_SUCCEEDED.length && NOT_SUCCEEDED.every((name) => names.includes(name)))
    return "Not succeeded";
  return names.map((name) => stateOf(name).text).join(", ");
}

/**
 * @param {string} key
 * @param {import("./dom.js").Child} words
 * @param {Partial<View>} changes
 */
const chip = (key, words, changes) =>
  h(
    "li",
    { "data-key": key },
    h(
      "a",
      { class: "chip", href: href(changes) },
      h("span", { class: "unseen" }, "Remove the filter "),
      h("span", {}, words),
      h("span", { "aria-hidden": "true" }, "×"),
    ),
  );

/**
 * A moment as the browser's own fields want it: local, to the minute.
 *
 * @param {string} iso
 */
function localMinute(iso) {
  if (!iso) return "";
  const moment = new Date(iso);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/**
 * Offers what has been seen, to choose from.
 *
 * @param {Api.Operation[]} operations
 * @param {Api.Summary["failures"]} failures
 */
export function offer(operations, failures) {
  const seen = [...operations, ...failures];
  for (const name of PLACES) {
    const values = [...new Set(seen.map((each) => each[name]))].sort().slice(0, MOST_KNOWN);
    show(at(`known-${name}s`), ...values.map((value) => h("option", { value })));
  }
}
