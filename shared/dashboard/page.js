// The page: what is asked, when, and where the answers go.

import * as api from "./api.js";
import { Detail } from "./detail.js";
import { at, h, say, show } from "./dom.js";
import * as filters from "./filters.js";
import { clock } from "./format.js";
import * as glance from "./glance.js";
import { healthUnknown, showHealth } from "./health.js";
import * as key from "./key.js";
import { KeyDialog } from "./key_dialog.js";
import { OperationsList } from "./list.js";
import { Live } from "./live.js";
import { RedriveDialog } from "./redrive.js";
import { closed, filterOf, follow, go, href, opened, PERIODS, read } from "./view.js";

const SECOND = 1000;
// What each costs is in docs/dashboard.md.
const EVERY = { operations: 10 * SECOND, operation: 10 * SECOND, summary: 30 * SECOND, health: 60 * SECOND };
const WIDE = matchMedia("(min-width: 70rem)");

let view = read();
/** @type {glance.Explanations | null} */
let explanations = null;
/** @type {glance.Summary | null} */
let summary = null;
let summaryTurn = 0;
let wasFailing = false;
let scrollBefore = 0;

/** @param {string} text */
const announce = (text) => say(at("announcer"), text);
/** @returns {glance.Explanations} */
const explained = () => explanations ?? new Map();
const list = new OperationsList({ announce, onChange: () => questions.summary.now() });
const keyDialog = new KeyDialog(() => live.askAll());
const redrive = new RedriveDialog({ onDone: () => live.askAll(), onRefused: askForKey, announce });
const detail = new Detail({
  explanations: explained,
  announce,
  redrive: (operation, givenUp) => redrive.ask(operation, givenUp),
});
const live = new Live({ changed: showConnection, refused: askForKey });
const questions = {
  operations: live.add("The operations", EVERY.operations, async () => {
    await list.refresh();
    filters.offer(list.known, summary?.failures ?? []);
  }),
  summary: live.add("The summary", EVERY.summary, askSummary),
  health: live.add("The app's health", EVERY.health, async () => showHealth(await api.health())),
  operation: live.add("The open operation", EVERY.operation, () => detail.refresh()),
};

/**
 * But for a login, and for an answer to what was asked before a person gave another key, or declined to give one.
 *
 * @param {api.Problem} problem
 */
function askForKey(problem) {
  if (!problem.isLogin && key.isStill(problem.key)) keyDialog.ask();
}

async function askSummary() {
  summaryTurn += 1;
  const turn = summaryTurn;
  const { period } = view;
  const until = new Date(api.now());
  const since = new Date(until.getTime() - PERIODS[period].ms);
  const [answer] = await Promise.all([
    api.summary({ since: since.toISOString(), until: until.toISOString() }),
    askExplanations(),
  ]);
  if (turn !== summaryTurn) return;
  summary = { ...answer, period };
  glance.showSummary(summary, explained());
}

/** Once; without them the page shows codes alone, and asks again with the next summary. */
async function askExplanations() {
  if (explanations) return;
  try {
    const { errorCodes } = await api.errorCodes();
    explanations = new Map(errorCodes.map((each) => [each.code, each]));
  } catch (error) {
    const problem = api.Problem.of(error);
    if (problem.status === 401) throw problem;
    return;
  }
  // An operation may have been opened before they came.
  detail.look(view);
}

function look() {
  if (key.takeFromAddress()) live.askAll();
  const before = view;
  view = read();
  glance.showPeriod(view);
  filters.showFilters(view);
  if (summary) glance.showSummary(summary, explained());
  const isOtherList =
    view.period !== before.period || JSON.stringify(filterOf(view)) !== JSON.stringify(filterOf(before));
  if (isOtherList) {
    list.reset();
    questions.operations.anew();
  } else list.redraw();
  if (view.period !== before.period) {
    at("glance").setAttribute("aria-busy", "true");
    say(at("operations-total"), `Asking for the last ${PERIODS[view.period].text} …`);
    questions.summary.anew();
  }
  lookAtDetail(before);
}

/** @param {import("./view.js").View} before */
function lookAtDetail(before) {
  const name = opened(view);
  const last = opened(before);
  if (name && !last) scrollBefore = scrollY;
  at("detail").hidden = !name;
  document.body.classList.toggle("has-detail", Boolean(name));
  document.title = name ? `${name.operationId} - ADX ingestion tracker` : "ADX ingestion tracker";
  at("close").href = href(closed);
  const isOther = detail.look(view);
  if (isOther || (name && view.status !== before.status)) questions.operation.anew();
  if (isOther && name) showOpened(name);
  if (!name && last) {
    if (!WIDE.matches) scrollTo(0, scrollBefore);
    (list.linkOf(last) ?? at("operations")).focus();
  }
}

/** @param {api.Name} name */
function showOpened(name) {
  at("detail").scrollTop = 0;
  if (WIDE.matches) list.linkOf(name)?.closest("tr")?.scrollIntoView({ block: "nearest" });
  else scrollTo(0, 0);
  at("detail-title").focus({ preventScroll: true });
}

function showConnection() {
  const { failing, lastHeard } = live;
  const heard = lastHeard ? `last heard ${clock(lastHeard)}` : "not heard yet";
  say(at("heard"), document.hidden ? `Paused, ${heard}` : failing ? `Not live, ${heard}` : `Live, ${heard}`);
  at("heard").classList.toggle("is-live", !failing);
  at("forget").hidden = !key.current();
  at("connection").hidden = !failing;
  if (questions.health.problem) healthUnknown();
  if (failing?.problem) showFailing(failing, failing.problem);
  if (Boolean(failing) !== wasFailing) announce(failing ? at("connection-text").textContent : "The API answers again");
  wasFailing = Boolean(failing);
}

/**
 * @param {import("./live.js").Question} question
 * @param {api.Problem} problem
 */
function showFailing({ name, nextAt, lastHeard }, problem) {
  if (problem.status === 401) {
    const what = problem.isLogin
      ? "You are signed out. Reload the page to sign in."
      : "Without a function key nothing can be shown.";
    show(at("connection-text"), h("b", {}, what), problem.detail && ` ${problem.detail}`);
    say(at("try-now"), problem.isLogin ? "Reload" : "Enter a key");
    return;
  }
  const heard = lastHeard ? ` What is shown is as of ${clock(lastHeard)}.` : "";
  const next = nextAt ? ` Next try at ${clock(nextAt)}.` : "";
  show(
    at("connection-text"),
    h("b", {}, `${name} can't be had.`),
    ` ${problem.message}.`.replace("..", "."),
    heard,
    next,
  );
  say(at("try-now"), "Try now");
}

function tryNow() {
  const problem = live.failing?.problem;
  if (problem?.status !== 401) live.askAll();
  else if (problem.isLogin) location.reload();
  else keyDialog.ask();
}

/** @param {MouseEvent} event */
function clicked(event) {
  if (!(event.target instanceof Element)) return;
  /** @type {HTMLElement | SVGElement | null} */
  const target = event.target.closest("[data-action]");
  const anchor = event.target.closest('a[href^="#"]');
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (anchor && isPlain) {
    // The browser's own way would scroll, to the top for an empty fragment.
    event.preventDefault();
    if (target?.dataset.action === "skip") at("operations").focus();
    else follow(anchor.getAttribute("href") ?? "#");
    return;
  }
  const { action, since = "", until = "" } = target?.dataset ?? {};
  if (action === "narrow") go({ since, until });
  const row = event.target.closest("#operations-table tbody tr, #failures-table tbody tr");
  if (row && !event.target.closest("a") && getSelection()?.isCollapsed) row.querySelector("a")?.click();
}

function start() {
  key.takeFromAddress();
  view = read();
  history.scrollRestoration = "manual";
  filters.prepare();
  glance.prepare(explained);
  for (const name of ["hashchange", "viewchange", "popstate"]) addEventListener(name, look);
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", (event) => {
    // A key held down is one press: it must not act on what the first one brought.
    if (event.key === "Enter" && event.repeat) event.preventDefault();
    const isElsewhere = event.target instanceof Element && event.target.closest("input, select, dialog");
    if (event.key === "Escape" && opened(view) && !isElsewhere) go(closed);
  });
  at("try-now").addEventListener("click", tryNow);
  // Until the first answer nobody knew that this machine's clock is wrong: the period was another.
  api.onWrongClock(() => {
    list.reset();
    questions.operations.anew();
    questions.summary.anew();
  });
  at("forget").addEventListener("click", () => {
    key.forget();
    live.askAll();
  });
  for (const each of at("longer").querySelectorAll("a")) each.href = href({ period: "week" });
  list.reset();
  look();
  live.askAll();
}

start();
