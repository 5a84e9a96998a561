// At a glance: what became of operations and blobs in the period, what is outstanding, and what fails.

import { now } from "./api.js";
import { showChart, showChartTable, showLegend } from "./chart.js";
import { at, h, say, show, svg } from "./dom.js";
import { age, counted, hostOf, number, share, time, utc } from "./format.js";
import { badge, NOT_SUCCEEDED, OUTCOMES } from "./states.js";
import { href, PERIODS, read } from "./view.js";

/** @typedef {import("./view.js").Period} Period */
/** @typedef {Api.Summary & { period: Period }} Summary What the API answered for a period. */
/** @typedef {Map<string, Api.ErrorCodes["errorCodes"][number]>} Explanations By the error's code. */
/** @typedef {Api.Summary["failures"][number]} Failure */

const FIRST_FAILURES = 5;
// What everybody looks for, also where it is none of them.
const ALWAYS_NAMED = new Set(["succeeded", "failed"]);
let isAllShown = false;
/** @type {Summary | null} */
let latest = null;

/**
 * Redraws what depends on the width, and opens and closes the whole list of failures.
 *
 * @param {() => Explanations} explanations
 */
export function prepare(explanations) {
  new ResizeObserver(() => latest && showChart(at("chart"), latest)).observe(at("chart"));
  at("all-failures").addEventListener("click", () => {
    isAllShown = !isAllShown;
    if (latest) showFailures(latest.failures, explanations());
  });
}

/** @param {import("./view.js").View} view */
export function showPeriod(view) {
  for (const link of at("periods").querySelectorAll("a")) {
    const period = /** @type {Period} */ (link.dataset.period);
    link.href = href({ period, since: "", until: "" });
    if (period === view.period) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/**
 * @param {Summary} summary
 * @param {Explanations} explanations
 */
export function showSummary(summary, explanations) {
  latest = summary;
  const view = read();
  at("glance").removeAttribute("aria-busy");
  const total = Object.values(summary.operations).reduce((sum, count) => sum + count, 0);
  const period = `the last ${PERIODS[summary.period].text}`;
  const bound = summary.isComplete ? "" : ` (the newest ${number(summary.counted)}; there are more)`;
  say(at("operations-total"), `${counted(total, "operation")} in ${period}${bound}`);
  showChart(at("chart"), summary);
  showChartTable(at("chart-head"), at("chart-rows"), summary);
  showLegend(at("legend"), summary, view.state);
  at("nothing").hidden = total > 0;
  at("chart-parts").hidden = total === 0;
  at("longer").hidden = summary.period === "week";
  say(at("nothing-title"), `Nothing was tracked in ${period}.`);
  showBlobs(at("blobs"), summary.blobs);
  showOutstanding(summary.outstanding);
  showFailures(summary.failures, explanations);
}

/**
 * A bar of the blobs' outcomes with a list of the figures; used for one operation too.
 *
 * @param {Element} place
 * @param {Api.BlobCounts} blobs
 */
export function showBlobs(place, blobs) {
  const total = [...OUTCOMES.keys()].reduce((sum, name) => sum + (blobs[name] ?? 0), 0);
  let x = 0;
  const parts = [...OUTCOMES].map(([name, { kind }]) => {
    const width = total ? (100 * (blobs[name] ?? 0)) / total : 0;
    x += width;
    return svg("rect", { class: `bar ${kind}`, x: x - width, width, height: 10 });
  });
  const bar = svg(
    "svg",
    { class: "meter", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    parts,
  );
  const named = [...OUTCOMES].filter(([name]) => blobs[name] || (total && ALWAYS_NAMED.has(name)));
  const rows = named.map(([name, about]) =>
    h(
      "div",
      { "data-key": name },
      h("dt", {}, badge(about)),
      h("dd", {}, h("span", { class: "figure" }, number(blobs[name])), h("small", {}, share(blobs[name] ?? 0, total))),
    ),
  );
  show(
    place,
    h("p", { class: "big" }, h("b", {}, number(total)), total === 1 ? " blob" : " blobs"),
    bar,
    h("dl", { class: "shares" }, rows),
  );
}

/** @param {Api.Summary["outstanding"]} outstanding */
function showOutstanding(outstanding) {
  const place = at("outstanding");
  if (!outstanding) {
    show(place, h("p", { class: "quiet" }, "Not measured yet. The app counts it once a minute."));
    return;
  }
  const { count, overdue, oldestRegisteredAt, measuredAt } = outstanding;
  const oldest = oldestRegisteredAt && age(now() - Date.parse(oldestRegisteredAt));
  show(
    place,
    h("p", { class: "big" }, h("b", {}, number(count)), count === 1 ? " operation" : " operations"),
    h(
      "dl",
      { class: "shares" },
      oldest &&
        h(
          "div",
          { "data-key": "oldest" },
          h("dt", {}, "Oldest for"),
          h("dd", { title: utc(oldestRegisteredAt) }, oldest),
        ),
      (count > 0 || overdue > 0) &&
        h(
          "div",
          { "data-key": "overdue", class: overdue ? "warn" : null },
          h("dt", {}, "Overdue for a poll"),
          h("dd", {}, number(overdue)),
        ),
      h("div", {}, h("dt", {}, "Measured"), h("dd", {}, time(measuredAt, { isShort: true }))),
    ),
  );
}

/**
 * @param {Failure[]} failures
 * @param {Explanations} explanations
 */
function showFailures(failures, explanations) {
  const some = isAllShown ? failures : failures.slice(0, FIRST_FAILURES);
  at("failures-table").hidden = failures.length === 0;
  at("no-failures").hidden = failures.length > 0;
  const button = at("all-failures");
  button.hidden = failures.length <= FIRST_FAILURES;
  say(button, isAllShown ? "Show the first only" : `Show all ${number(failures.length)}`);
  const clusters = new Set(failures.map((each) => each.cluster)).size;
  show(at("failures"), ...some.map((each) => failureRow(each, explanations, clusters > 1)));
}

/**
 * @param {Failure} failure
 * @param {Explanations} explanations
 * @param {boolean} isClusterShown
 */
function failureRow(failure, explanations, isClusterShown) {
  const { errorCode, cluster, database, table } = failure;
  const about = explanations.get(errorCode ?? "");
  const where = [isClusterShown && hostOf(cluster), database, table].filter(Boolean).join(" / ");
  const target = { ...chosen(failure), state: NOT_SUCCEEDED.join(","), since: "", until: "", id: "" };
  return h(
    "tr",
    { "data-key": [errorCode, cluster, database, table].join("\n"), role: "row" },
    h(
      "th",
      { scope: "row", role: "rowheader" },
      h("a", { href: href(target) }, errorCode || "without a code"),
      about && h("p", {}, about.summary),
    ),
    h("td", { role: "cell", "data-label": "Table", title: cluster }, where),
    h("td", { role: "cell", "data-label": "Operations", class: "figure" }, number(failure.operations)),
    h("td", { role: "cell", "data-label": "Failed blobs", class: "figure" }, number(failure.failedBlobs)),
  );
}

/** @param {Failure} failure */
const chosen = ({ errorCode, cluster, database, table }) => ({ code: errorCode ?? "", cluster, database, table });
