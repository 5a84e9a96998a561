// Numbers, times and names as people read them: in the browser's language and time zone.

import { h } from "./dom.js";

const WHOLE = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact" });
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const MINUTE = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const TIED = "\u00a0";
const SECOND = 1000;
/** @type {[number, string][]} */
const UNITS = [
  [86_400 * SECOND, "d"],
  [3600 * SECOND, "h"],
  [60 * SECOND, "min"],
  [SECOND, "s"],
];

/** @param {number | null | undefined} value */
export const number = (value) => WHOLE.format(value ?? 0);

/**
 * A large number in little room, such as 120K.
 *
 * @param {number} value
 */
export const short = (value) => (value < 10_000 ? number(value) : SHORT.format(value));

/**
 * A share that never says 100 % or 0 % of what is not quite all or nothing.
 *
 * @param {number} part
 * @param {number} whole
 */
export function share(part, whole) {
  if (!whole) return "–";
  const least = 0.001;
  const exact = part / whole;
  return PERCENT.format(part === whole || part === 0 ? exact : Math.min(1 - least, Math.max(least, exact)));
}

/**
 * @param {number} value
 * @param {string} one
 */
export const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** @param {number} milliseconds */
export const clock = (milliseconds) => CLOCK.format(milliseconds);

/**
 * A time of day, or a day too where a span of more than a day is shown.
 *
 * @param {number} milliseconds
 * @param {boolean} isLong
 */
export const tick = (milliseconds, isLong) =>
  isLong ? `${DAY.format(milliseconds)} ${MINUTE.format(milliseconds)}` : MINUTE.format(milliseconds);

/**
 * A length of time in its two largest units, such as 3 h 5 min; a number and its unit stay in one line.
 *
 * @param {number} milliseconds
 */
export function span(milliseconds) {
  let left = Math.max(0, milliseconds);
  const first = UNITS.findIndex(([unit]) => left >= unit);
  if (first < 0) return `0${TIED}s`;
  const words = [];
  for (const [unit, name] of UNITS.slice(first, first + 2)) {
    const whole = Math.floor(left / unit);
    left -= whole * unit;
    if (whole) words.push(`${whole}${TIED}${name}`);
  }
  return words.join(" ");
}

/**
 * A length of time in its largest unit, such as 3 h.
 *
 * @param {number} milliseconds
 */
export const age = (milliseconds) => span(milliseconds).split(" ")[0];

/** @param {string} iso */
export const utc = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/**
 * A time in local words, its UTC in the title; short leaves out the day where it is today's.
 *
 * @param {string | null} iso
 */
export function time(iso, { isShort = false } = {}) {
  const at = Date.parse(iso ?? "");
  if (iso === null || Number.isNaN(at)) return "–";
  const isToday = new Date(at).toDateString() === new Date().toDateString();
  const text = isShort ? (isToday ? CLOCK.format(at) : `${DAY.format(at)}, ${MINUTE.format(at)}`) : FULL.format(at);
  return h("time", { datetime: iso, title: utc(iso) }, text);
}

/**
 * The host of a cluster, which is what tells clusters apart.
 *
 * @param {string} cluster
 */
export function hostOf(cluster) {
  try {
    return new URL(cluster).host;
  } catch {
    return cluster;
  }
}

/**
 * A host's name that may break after its dots alone.
 *
 * @param {string} host
 */
export const breakable = (host) => host.split(/(?<=\.)/).flatMap((part) => [part, h("wbr")]);

/**
 * The last part of a blob's path, and what stands before it within its account.
 *
 * @param {string} url
 */
export function fileOf(url) {
  const place = url.lastIndexOf("/");
  return { folder: url.slice(0, place + 1).replace(/^[a-z]+:\/\/[^/]*\//i, ""), name: url.slice(place + 1) || url };
}

/**
 * A link where it leads to the web, else the text: what comes from outside must not run.
 *
 * @param {string} url
 * @param {string} text
 */
export function link(url, text) {
  const isWeb = /^https?:\/\//i.test(url);
  return isWeb ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text) : text;
}
