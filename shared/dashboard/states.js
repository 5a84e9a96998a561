// The states and outcomes: a word, a sign and a colour for each, so that the colour is never needed.

import { h, svg } from "./dom.js";

const SIGNS = {
  check: "M4.5 8.3l2.4 2.4 4.6-5",
  cross: "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4",
  half: "M8 4.5v4M8 11v.2",
  clock: "M8 4.6V8l2.3 1.6",
  question: "M6.2 6.3a1.9 1.9 0 1 1 2.7 1.8c-.6.3-.9.6-.9 1.2M8 11.3v.2",
  slash: "M5 11l6-6",
  dots: "M4.8 8h.2M7.9 8h.2M11 8h.2",
};

/** @typedef {{ kind: string, sign: keyof typeof SIGNS }} Mark A colour by its class, and a sign. */
/** @typedef {Mark & { text: string }} About */

/**
 * In the order in which they are stacked and listed.
 *
 * @type {Map<string, About>}
 */
export const STATES = new Map([
  ["Succeeded", { text: "Succeeded", kind: "succeeded", sign: "check" }],
  ["InProgress", { text: "In progress", kind: "progress", sign: "dots" }],
  ["PartiallySucceeded", { text: "Partially succeeded", kind: "partial", sign: "half" }],
  ["Failed", { text: "Failed", kind: "failed", sign: "cross" }],
  ["TimedOut", { text: "Timed out", kind: "timedout", sign: "clock" }],
  ["NotFound", { text: "Not found", kind: "notfound", sign: "question" }],
  ["Canceled", { text: "Canceled", kind: "canceled", sign: "slash" }],
]);

/**
 * The blobs' counts of an operation or a summary, in the order in which they are shown.
 *
 * @type {Map<keyof Api.BlobCounts, About>}
 */
export const OUTCOMES = new Map([
  ["succeeded", { text: "Succeeded", kind: "succeeded", sign: "check" }],
  ["inProgress", { text: "In progress", kind: "progress", sign: "dots" }],
  ["failed", { text: "Failed", kind: "failed", sign: "cross" }],
  ["canceled", { text: "Canceled", kind: "canceled", sign: "slash" }],
]);

export const NOT_SUCCEEDED = [...STATES.keys()].filter((name) => name !== "Succeeded");

/**
 * What is known of a state, also of one that this page has never heard of.
 *
 * @param {string} name
 * @returns {About}
 */
export const stateOf = (name) => STATES.get(name) ?? { text: name, kind: "canceled", sign: "question" };

/** @type {Map<string, About>} */
const BLOB_STATUSES = new Map([["Queued", { text: "Queued", kind: "progress", sign: "dots" }]]);

/** @param {string} name */
export const statusOf = (name) => BLOB_STATUSES.get(name) ?? stateOf(name);

/** @param {Mark} mark */
export function sign({ kind, sign: name }) {
  return svg(
    "svg",
    { class: `sign ${kind}`, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("circle", { cx: 8, cy: 8, r: 7.25 }),
    svg("path", { d: SIGNS[name] }),
  );
}

/**
 * A state's sign with its word.
 *
 * @param {About} about
 */
export const badge = (about) => h("span", { class: "badge" }, sign(about), h("span", {}, about.text));
