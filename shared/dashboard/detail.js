// One operation: its facts, its lineage, what failed and what to do about it, and its blobs.

import * as api from "./api.js";
import { at, h, say, show } from "./dom.js";
import { breakable, counted, fileOf, hostOf, link, number, span, time } from "./format.js";
import { showBlobs } from "./glance.js";
import { NOTHING_TO_ASK } from "./live.js";
import { LongTable } from "./long_table.js";
import { badge, stateOf, statusOf } from "./states.js";
import { go, href, opened, opening } from "./view.js";

/** @typedef {{ count: number, isWhole: boolean }} GivenUp How many blobs; at least so many where it is not the whole. */

// Beyond these the errors are those of the first blobs, and the page says so.
const MOST_SCANS = 5;
const GIVEN_UP = new Set(["", "AttemptsExhausted", "NotResubmittable"]);
const ALREADY_INGESTED = "Skipped_IngestByTagAlreadyExists";
const LONG_TEXT = 220;
/** @type {Map<string, string>} */
const RETRY_STATES = new Map([
  ["Pending", "will be tried again"],
  ["Enqueued", "waits for its next try"],
  ["Resubmitted", "submitted again"],
  ["Recovered", "mended by ADX itself"],
  ["AttemptsExhausted", "given up: all attempts failed"],
  ["NotResubmittable", "given up: can't be submitted again"],
]);

/**
 * A blob that nothing will be done about until a person says so.
 *
 * @param {Api.Blob} blob
 */
export const isGivenUp = (blob) =>
  blob.status === "Failed" && blob.errorCode !== ALREADY_INGESTED && GIVEN_UP.has(blob.retryState ?? "");

export class Detail {
  /** @type {api.Name | null} */
  #name = null;
  /** @type {Api.OperationWithLineage | null} */
  #operation = null;
  /** @type {api.Problem | null} */
  #problem = null;
  /** @type {Api.Blob[]} */
  #failed = [];
  #isScanWhole = true;
  /** @type {Api.Blob[]} */
  #blobs = [];
  /** @type {string | null} */
  #token = null;
  #status = "";
  #turn = 0;

  /**
   * @param {object} told
   * @param {() => import("./glance.js").Explanations} told.explanations
   * @param {(text: string) => void} told.announce
   * @param {(operation: Api.Operation, givenUp: GivenUp) => void} told.redrive is called where a person wants it.
   */
  constructor({ explanations, announce, redrive }) {
    this.explanations = explanations;
    this.announce = announce;
    this.redrive = redrive;
    /** @type {(blob: Api.Blob) => HTMLTableRowElement} */
    const row = (blob) => this.#blobRow(blob);
    this.rows = new LongTable(at("blobs-table"), row, ({ blobKey }) => blobKey);
    at("more-blobs").addEventListener("click", () => this.#loadMore());
    at("blob-status").addEventListener("change", () => go({ status: at("blob-status").value }));
    at("redrive").addEventListener("click", () => {
      if (this.#operation) this.redrive(this.#operation, this.givenUp);
    });
    at("copy").addEventListener("click", () => this.#copy());
    at("copy").hidden = !navigator.clipboard;
  }

  /**
   * The given-up blobs that are known; more where the scan is not whole.
   *
   * @returns {GivenUp}
   */
  get givenUp() {
    return { count: this.#failed.filter(isGivenUp).length, isWhole: this.#isScanWhole };
  }

  /**
   * Shows what the view says is open; returns whether that is another operation than before.
   *
   * @param {import("./view.js").View} view
   */
  look(view) {
    const name = opened(view);
    const isOther = JSON.stringify(name) !== JSON.stringify(this.#name);
    const isOtherStatus = view.status !== this.#status;
    this.#status = view.status;
    at("blob-status").value = view.status;
    if (isOther || isOtherStatus) {
      this.#turn += 1;
      this.#blobs = [];
      this.#token = null;
    }
    if (isOther) {
      this.#name = name;
      this.#operation = null;
      this.#problem = null;
      this.#failed = [];
      say(at("copy"), "Copy the ID");
    }
    this.#draw();
    return isOther;
  }

  /** Asks for the open operation, and for its blobs where something has changed or nothing is there yet. */
  async refresh() {
    if (!this.#name) return NOTHING_TO_ASK;
    const turn = this.#turn;
    /** @type {Api.OperationWithLineage} */
    let operation;
    try {
      operation = await api.operation(this.#name);
    } catch (error) {
      const problem = api.Problem.of(error);
      if (![400, 404, 409].includes(problem.status) || turn !== this.#turn) throw problem;
      this.#problem = problem;
      this.#draw();
      return null;
    }
    if (turn !== this.#turn) return null;
    const isChanged = JSON.stringify(operation) !== JSON.stringify(this.#operation);
    this.#problem = null;
    if (isChanged || this.#blobs.length === 0) await this.#askBlobs(operation, turn);
    if (turn !== this.#turn) return null;
    this.#operation = operation;
    this.#draw();
    return null;
  }

  /**
   * @param {Api.Operation} operation
   * @param {number} turn
   */
  async #askBlobs(operation, turn) {
    const [page, scan] = await Promise.all([
      api.blobs(operation, {
        status: this.#status,
        limit: Math.min(Math.max(100, this.#blobs.length), api.MOST_BLOBS),
      }),
      operation.blobs.failed > 0 ? scanFailed(operation) : { failed: [], isWhole: true },
    ]);
    if (turn !== this.#turn) return;
    const fresh = new Map(page.blobs.map((blob) => [blob.blobKey, blob]));
    const isFirst = this.#blobs.length <= page.blobs.length;
    this.#blobs = isFirst ? page.blobs : this.#blobs.map((blob) => fresh.get(blob.blobKey) ?? blob);
    if (isFirst) this.#token = page.continuationToken;
    this.#failed = scan.failed;
    this.#isScanWhole = scan.isWhole;
  }

  async #loadMore() {
    if (!this.#operation) return;
    const turn = this.#turn;
    const note = at("more-blobs-note");
    try {
      const page = await api.blobs(this.#operation, { status: this.#status, continuationToken: this.#token });
      if (turn !== this.#turn) return;
      const known = new Set(this.#blobs.map(({ blobKey }) => blobKey));
      this.#blobs = [...this.#blobs, ...page.blobs.filter(({ blobKey }) => !known.has(blobKey))];
      this.#token = page.continuationToken;
      say(note, "");
      this.announce(`${counted(page.blobs.length, "more blob")} loaded`);
    } catch (error) {
      say(note, `More could not be loaded. ${api.Problem.of(error).message}. Try again.`);
      this.announce(note.textContent);
    }
    this.#draw();
  }

  async #copy() {
    if (!this.#name) return;
    const isCopied = await navigator.clipboard.writeText(this.#name.operationId).then(
      () => true,
      () => false,
    );
    say(at("copy"), isCopied ? "Copied" : "Not copied");
    this.announce(isCopied ? "The operation ID is copied" : "The browser does not let this page copy: select the ID");
  }

  #draw() {
    if (!this.#name) return;
    const operation = this.#operation;
    say(at("detail-title"), this.#name.operationId);
    at("detail-problem").hidden = !this.#problem;
    at("detail-skeleton").hidden = operation !== null || this.#problem !== null;
    at("detail-body").hidden = operation === null || this.#problem !== null;
    if (this.#problem) show(at("detail-problem"), ...problemText(this.#problem, this.#name));
    if (!operation) {
      show(at("detail-state"));
      return;
    }
    show(at("detail-state"), badge(stateOf(operation.state)));
    show(at("facts"), ...facts(operation));
    showBlobs(at("detail-blobs"), operation.blobs);
    this.#showLineage(operation);
    this.#showErrors();
    this.#showRedrive(operation);
    this.#showBlobRows();
  }

  /** @param {Api.OperationWithLineage} operation */
  #showLineage({ lineage, operationId, cluster, database, table }) {
    const all = lineage?.operations ?? [];
    at("lineage-part").hidden = all.length < 2;
    say(at("lineage-note"), lineage?.leftOut ? `${number(lineage.leftOut)} more are not shown.` : "");
    show(
      at("lineage"),
      ...all.map((each) => {
        const isThis = each.operationId === operationId;
        const target = href(opening({ operationId: each.operationId, cluster, database, table }));
        const name = isThis
          ? h("b", { class: "id" }, each.operationId)
          : h("a", { href: target, class: "id" }, each.operationId);
        const failed = each.blobs?.failed
          ? h("small", { class: "bad" }, `${counted(each.blobs.failed, "blob")} failed`)
          : null;
        return h(
          "li",
          { "data-key": each.operationId, "aria-current": isThis ? "true" : null },
          h("p", {}, h("span", { class: "quiet" }, `Attempt ${each.attempt}`), badge(stateOf(each.state)), failed),
          name,
        );
      }),
    );
  }

  #showErrors() {
    const groups = Map.groupBy(this.#failed, ({ errorCode }) => errorCode ?? "");
    at("errors-part").hidden = groups.size === 0;
    say(
      at("errors-note"),
      this.#isScanWhole ? "" : `Counted in the first ${number(this.#failed.length)} failed blobs.`,
    );
    const ordered = [...groups].sort(([, one], [, other]) => other.length - one.length);
    show(at("errors"), ...ordered.map(([code, failed]) => this.#errorItem(code, failed)));
  }

  /**
   * @param {string} code
   * @param {Api.Blob[]} failed
   */
  #errorItem(code, failed) {
    const about = this.explanations().get(code);
    const kinds = [...new Set(failed.map((blob) => blob.failureStatus).filter(Boolean))].join(", ");
    return h(
      "li",
      { "data-key": code },
      h(
        "h4",
        {},
        h("code", {}, code || "without a code"),
        " ",
        h("span", { class: "quiet" }, [counted(failed.length, "blob"), kinds].filter(Boolean).join(", ")),
      ),
      about
        ? [h("p", {}, about.summary), about.advice && h("p", {}, h("b", {}, "What to do: "), about.advice)]
        : h("p", {}, "No explanation is known for this code. What ADX said of each blob stands below."),
    );
  }

  /** @param {Api.Operation} operation */
  #showRedrive({ state }) {
    const { count, isWhole } = this.givenUp;
    const part = at("redrive-part");
    const isGone = count === 0 || state === "InProgress";
    // The button that the dialog gave the focus back to: it must not be lost with it.
    if (isGone && part.contains(document.activeElement)) at("detail-title").focus();
    part.hidden = isGone;
    const blobs = `${isWhole ? "" : "At least "}${counted(count, "blob")}`;
    say(
      at("redrive-text"),
      `${blobs} of this operation ${count === 1 ? "was" : "were"} given up. Once the cause is gone, have ${count === 1 ? "it" : "them"} tried again.`,
    );
  }

  #showBlobRows() {
    at("blobs-table").hidden = this.#blobs.length === 0;
    at("no-blobs").hidden = this.#blobs.length > 0;
    say(
      at("no-blobs"),
      this.#status
        ? "No blob has this status."
        : "ADX has not named its blobs yet. They are listed once it has something to tell of them.",
    );
    this.rows.show(this.#blobs);
    at("more-blobs").hidden = this.#token === null;
    say(at("blobs-loaded"), this.#blobs.length ? `${counted(this.#blobs.length, "blob")} loaded` : "");
  }

  /** @param {Api.Blob} blob */
  #blobRow(blob) {
    const { folder, name } = fileOf(blob.url ?? blob.sourceId ?? "without a name");
    return h(
      "tr",
      { role: "row", "data-key": blob.blobKey },
      h(
        "th",
        { scope: "row", role: "rowheader", class: "blob" },
        link(blob.url ?? "", name),
        folder && h("small", { class: "quiet" }, folder),
      ),
      h("td", { role: "cell" }, badge(statusOf(blob.status)), blob.retryState && h("small", {}, this.#retryText(blob))),
      h(
        "td",
        { role: "cell", class: "details" },
        blob.errorCode && h("code", {}, blob.errorCode),
        blob.details && longText(blob.details),
        blob.redrivenBy &&
          h("small", { class: "quiet" }, `Redriven by ${blob.redrivenBy}, `, time(blob.redrivenAt, { isShort: true })),
      ),
    );
  }

  /** @param {Api.Blob} blob */
  #retryText({ retryState, retryOperationId, retryReason }) {
    const text = RETRY_STATES.get(retryState ?? "") ?? retryState;
    if (!retryOperationId) return retryReason ? `${text} (${retryReason})` : text;
    return h("a", { href: href(opening({ ...this.#operation, operationId: retryOperationId })) }, text);
  }
}

/**
 * What there is instead of an operation that can't be shown.
 *
 * @param {api.Problem} problem
 * @param {api.Name} name
 */
const problemText = ({ title, detail, status }, name) => [
  h("h3", {}, title),
  detail && h("p", {}, detail),
  status === 404 && h("p", {}, "It was never posted to this app, or its rows are older than the app keeps them."),
  h(
    "a",
    { href: href({ op: "", opCluster: "", opDatabase: "", opTable: "", id: name.operationId }), class: "button" },
    "Search for this ID",
  ),
];

/**
 * The first failed blobs, for what they say together: one request for a thousand.
 *
 * @param {Api.Operation} operation
 */
async function scanFailed(operation) {
  /** @type {Api.Blob[]} */
  const failed = [];
  /** @type {string | null} */
  let token = null;
  for (let scan = 0; scan < MOST_SCANS; scan += 1) {
    /** @type {Api.Blobs} */
    const page = await api.blobs(operation, { status: "Failed", limit: api.MOST_BLOBS, continuationToken: token });
    failed.push(...page.blobs.filter(({ errorCode }) => errorCode !== ALREADY_INGESTED));
    token = page.continuationToken;
    if (token === null) return { failed, isWhole: true };
  }
  return { failed, isWhole: false };
}

/** @param {string} text */
function longText(text) {
  if (text.length <= LONG_TEXT) return h("p", { class: "said" }, text);
  return h("details", { class: "said" }, h("summary", {}, `${text.slice(0, LONG_TEXT - 40)}…`), h("p", {}, text));
}

/** @param {Api.Operation} operation */
function facts(operation) {
  const {
    database,
    table,
    cluster,
    registeredAt,
    startTime,
    lastUpdated,
    settledAt,
    attempt,
    polls,
    correlationId,
    retriedBlobs,
    lastError,
    parentOperationId,
  } = operation;
  const took = settledAt && span(Date.parse(settledAt) - Date.parse(registeredAt));
  /** @type {[string, import("./dom.js").Child][]} */
  const rows = [
    ["Table", `${database} / ${table}`],
    ["Cluster", cluster && breakable(hostOf(cluster))],
    ["Registered", time(registeredAt)],
    ["Started in ADX", startTime && time(startTime)],
    ["Last updated in ADX", lastUpdated && time(lastUpdated)],
    ["Ended", settledAt && [time(settledAt), " ", h("span", { class: "quiet whole" }, `after ${took}`)]],
    ["Attempt", number(attempt)],
    [
      "Retry of",
      parentOperationId &&
        h(
          "a",
          { href: href(opening({ ...operation, operationId: parentOperationId })), class: "id" },
          parentOperationId,
        ),
    ],
    ["Put up for a retry", retriedBlobs ? counted(retriedBlobs, "blob") : null],
    ["Polls", number(polls)],
    ["Correlation ID", correlationId],
    ["Last error", lastError && longText(lastError)],
  ];
  return rows
    .filter(([, value]) => value)
    .map(([name, value]) =>
      h(
        "div",
        { "data-key": name, class: name === "Last error" ? "wide" : null },
        h("dt", {}, name),
        h("dd", {}, value),
      ),
    );
}
