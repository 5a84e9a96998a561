// Operations by state over time: stacked bars, with the same figures as a table.

import { h, show, svg } from "./dom.js";
import { number, short, tick } from "./format.js";
import { badge, STATES, stateOf } from "./states.js";
import { href } from "./view.js";

// In pixels where the font has its usual size; all grows with it.
const TOP = 8;
const FOOT = 24;
const LEFT = 44;
const GAP = 2;
const LABEL = 44;
const LONG_LABEL = 92;
const LABEL_GAP = 40;
const USUAL_FONT = 16;
const STEPS = [1, 1.2, 1.4, 1.6, 2, 3, 4, 5, 6, 8, 10];
const LONG_MS = 30 * 3_600_000;

/** @typedef {Record<string, number>} States How many operations are in each. */
/** @typedef {{ at: number, end: number, states: States, total: number }} Bar Its times in milliseconds. */
/** @typedef {{ width: number, height: number, top: number, foot: number, left: number, unit: number }} Size In pixels. */

/**
 * A round number at or above a value, so that the axis has round steps.
 *
 * @param {number} value
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return STEPS.map((step) => Math.round(step * power)).find((step) => step >= value) ?? 10 * power;
}

/**
 * The summary's buckets with those between them that hold nothing, oldest first.
 *
 * @param {Api.Summary} summary
 */
export function filled({ since, until, bucketSeconds, buckets }) {
  const width = bucketSeconds * 1000;
  /** @type {Map<number, States>} */
  const known = new Map(buckets.map((bucket) => [Date.parse(bucket.at), bucket.states]));
  const first = known.size ? Math.min(...known.keys()) : Date.parse(since);
  const start = first - Math.ceil((first - Date.parse(since)) / width) * width;
  /** @type {Bar[]} */
  const all = [];
  for (let at = start; at < Date.parse(until); at += width) {
    const states = known.get(at) ?? {};
    const total = Object.values(states).reduce((sum, count) => sum + count, 0);
    if (total || at + width > Date.parse(since)) all.push({ at, end: at + width, states, total });
  }
  return all;
}

/**
 * @param {HTMLElement} figure
 * @param {Api.Summary} summary
 */
export function showChart(figure, summary) {
  const unit = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / USUAL_FONT;
  const width = Math.max(240, Math.floor(figure.clientWidth));
  const height = Math.max(120, Math.floor(figure.clientHeight));
  show(
    figure,
    drawing(filled(summary), {
      width,
      height,
      top: TOP * unit,
      foot: height - FOOT * unit,
      left: LEFT * unit,
      unit,
    }),
  );
}

/**
 * @param {Bar[]} bars
 * @param {Size} size
 */
function drawing(bars, size) {
  const { width, height, top, foot, left } = size;
  const isLong = (bars.at(-1)?.end ?? 0) - (bars[0]?.at ?? 0) > LONG_MS;
  const most = roundUp(Math.max(...bars.map((bar) => bar.total), 1));
  const step = (width - left) / Math.max(bars.length, 1);
  const scale = (foot - top) / most;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" },
    pattern(),
    grid(most, scale, size),
    bars.map((bar, index) => column(bar, { x: left + index * step, step, scale, top, foot })),
    labels(bars, step, isLong, size),
  );
}

/** Failed bars are hatched too, for whoever does not tell red from green. */
function pattern() {
  return svg(
    "defs",
    {},
    svg(
      "pattern",
      { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("rect", { class: "hatch-ground", width: 5, height: 5 }),
      svg("rect", { class: "hatch-line", width: 1.5, height: 5 }),
    ),
  );
}

/**
 * @param {number} most
 * @param {number} scale
 * @param {Size} size
 */
function grid(most, scale, { width, left, foot }) {
  const steps = most === 1 ? [0, 1] : [0, most / 2, most];
  return steps.filter(Number.isInteger).map((value) => {
    const y = foot - value * scale;
    return [
      svg("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }),
      svg("text", { class: "axis", x: left - 8, y: y + 4, "text-anchor": "end" }, short(value)),
    ];
  });
}

/**
 * @param {Bar} bar
 * @param {{ x: number, step: number, scale: number, top: number, foot: number }} place
 */
function column(bar, { x, step, scale, top, foot }) {
  let y = foot;
  const parts = ordered(bar.states).map(([name, count]) => {
    const height = count * scale;
    y -= height;
    return svg("rect", {
      class: `bar ${stateOf(name).kind}`,
      x: x + GAP / 2,
      y,
      width: Math.max(1, step - GAP),
      height,
    });
  });
  const narrow = { "data-action": "narrow", "data-since": iso(bar.at), "data-until": iso(bar.end) };
  const area = { class: "area", x, y: top, width: step, height: foot - top };
  return svg(
    "g",
    bar.total ? { class: "column", ...narrow } : {},
    parts,
    svg("rect", area),
    svg("title", {}, words(bar)),
  );
}

/** @param {Bar} bar */
function words(bar) {
  const said = ordered(bar.states).map(([name, count]) => `${stateOf(name).text} ${number(count)}`);
  return `${tick(bar.at, true)} – ${tick(bar.end, false)}\n${said.join("\n") || "nothing"}`;
}

/**
 * Those with operations, in the order in which they are stacked.
 *
 * @param {States} states
 */
function ordered(states) {
  const names = [...STATES.keys(), ...Object.keys(states).filter((name) => !STATES.has(name))];
  return names.flatMap((name) => {
    const count = states[name];
    return count ? [/** @type {const} */ ([name, count])] : [];
  });
}

/**
 * @param {Bar[]} bars
 * @param {number} step
 * @param {boolean} isLong
 * @param {Size} size
 */
function labels(bars, step, isLong, { width, height, left, unit }) {
  const label = (isLong ? LONG_LABEL : LABEL) * unit;
  const every = Math.max(1, Math.ceil((label + LABEL_GAP * unit) / step));
  return bars.map((bar, index) => {
    const x = left + index * step;
    if (index % every || x + label > width) return null;
    return svg("text", { class: "axis", x, y: height - 6 }, tick(bar.at, isLong));
  });
}

/**
 * The same figures for whoever can't see the bars, and a way to narrow the list down by the keyboard.
 *
 * @param {Element} head
 * @param {Element} rows
 * @param {Api.Summary} summary
 */
export function showChartTable(head, rows, summary) {
  const bars = filled(summary).filter((bar) => bar.total);
  /** @type {States} */
  const counts = summary.operations;
  const names = [...STATES.keys()].filter((name) => counts[name]);
  const titles = ["Time", ...names.map((name) => stateOf(name).text)];
  show(
    head,
    h("tr", {}, ...titles.map((text, index) => h("th", { scope: "col", class: index ? "figure" : null }, text))),
  );
  show(
    rows,
    ...bars.reverse().map((bar) =>
      h(
        "tr",
        { "data-key": bar.at },
        h("th", { scope: "row" }, h("a", { href: href(range(bar)), title: "Show its operations" }, tick(bar.at, true))),
        names.map((name) => h("td", { class: "figure" }, number(bar.states[name]))),
      ),
    ),
  );
}

/** @param {Bar} bar */
export const range = (bar) => ({ since: iso(bar.at), until: iso(bar.end) });

/** @param {number} at */
const iso = (at) => new Date(at).toISOString().replace(".000Z", "Z");

/**
 * The states with their counts, each a way to see those operations alone.
 *
 * @param {HTMLElement} list
 * @param {Api.Summary} summary
 * @param {string} chosen
 */
export function showLegend(list, summary, chosen) {
  /** @type {States} */
  const counts = summary.operations;
  const names = [...STATES.keys()].filter((name) => counts[name] || name === "Succeeded");
  show(
    list,
    ...names.map((name) => {
      const isChosen = chosen === name;
      const link = { href: href({ state: isChosen ? "" : name }), "aria-current": isChosen ? "true" : null };
      const count = h("span", { class: "figure" }, number(counts[name]));
      return h("li", { "data-key": name }, h("a", link, badge(stateOf(name)), " ", count));
    }),
  );
}
