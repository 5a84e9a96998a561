// How the app itself is: a word in the header, each check behind it, and the reasons where something is wrong.

import { at, h, say, show } from "./dom.js";
import { time } from "./format.js";
import { sign, stateOf } from "./states.js";

const NAMES = new Map([
  ["storage", "Storage"],
  ["queues", "Queues"],
  ["token", "Token for ADX"],
  ["adx", "Azure Data Explorer"],
  ["poller", "Poller"],
  ["backlog", "Backlog"],
]);
/** @param {string} check */
const nameOf = (check) => NAMES.get(check) ?? check;
const good = stateOf("Succeeded");
const failed = stateOf("Failed");

/** @param {Api.Health} health */
export function showHealth({ status, checkedAt, checks }) {
  const isHealthy = status === "healthy";
  const all = Object.entries(checks);
  const bad = all.filter(([, check]) => check.isHealthy === false);
  show(
    at("health-word"),
    h("span", { class: "badge" }, sign(isHealthy ? good : failed), isHealthy ? "Healthy" : "Unhealthy"),
  );
  show(
    at("health-checks"),
    h(
      "dl",
      { class: "checks" },
      all.map(([name, check]) => checkItem(name, check)),
    ),
    h("p", { class: "quiet" }, "Checked ", time(checkedAt, { isShort: true })),
  );
  at("unhealthy").hidden = isHealthy;
  if (isHealthy) return;
  const reasons = bad.map(([name, check]) =>
    h("li", { "data-key": name }, h("b", {}, `${nameOf(name)}: `), check.detail || "not healthy"),
  );
  show(at("unhealthy"), h("p", {}, h("b", {}, "The app is not healthy.")), h("ul", {}, reasons));
}

/** Nothing is known of it while the API can't be asked. */
export function healthUnknown() {
  say(at("health-word"), "Health unknown");
  at("unhealthy").hidden = true;
}

/**
 * @param {string} name
 * @param {Api.Health["checks"][keyof Api.Health["checks"]]} check
 */
function checkItem(name, check) {
  const isGood = check.isHealthy !== false;
  return h(
    "div",
    { "data-key": name },
    h("dt", {}, h("span", { class: "badge" }, sign(isGood ? good : failed), nameOf(name))),
    h("dd", {}, check.detail || (isGood ? "Fine." : "Not healthy.")),
  );
}
