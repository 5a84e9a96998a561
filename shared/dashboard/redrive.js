// Asks once whether blobs are to be tried again, and says what came of it.

import * as api from "./api.js";
import { at, h, say, show } from "./dom.js";
import { counted } from "./format.js";

export class RedriveDialog {
  /** @type {Api.Operation | null} */
  #operation = null;
  #isDone = false;
  #isRunning = false;
  #turn = 0;

  /**
   * @param {object} told
   * @param {() => void} told.onDone is called once something was redriven.
   * @param {(problem: api.Problem) => void} told.onRefused gets the problem where a key is needed first.
   * @param {(text: string) => void} told.announce
   */
  constructor({ onDone, onRefused, announce }) {
    this.onDone = onDone;
    this.onRefused = onRefused;
    this.announce = announce;
    this.dialog = at("redrive-dialog");
    at("redrive-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#isDone) this.dialog.close();
      else this.#redrive();
    });
    // The second half of a double click must not close what the first one brought.
    at("redrive-act").addEventListener("click", (event) => {
      if (event.detail > 1) event.preventDefault();
    });
    at("redrive-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      // The button that would have the focus again may be gone meanwhile.
      if (!at("redrive").checkVisibility()) at("detail-title").focus();
      if (this.#isDone) this.onDone();
    });
  }

  /**
   * @param {Api.Operation} operation
   * @param {{ count: number, isWhole: boolean }} givenUp
   */
  ask(operation, { count, isWhole }) {
    this.#operation = operation;
    this.#turn += 1;
    this.#isDone = false;
    this.#isRunning = false;
    at("redrive-act").removeAttribute("aria-disabled");
    say(at("redrive-title"), `Try ${isWhole ? "" : "at least "}${counted(count, "blob")} again?`);
    show(
      at("redrive-operation"),
      `${operation.database} / ${operation.table}, operation `,
      h("span", { class: "id" }, operation.operationId),
    );
    at("redrive-question").hidden = false;
    at("redrive-cancel").hidden = false;
    at("redrive-outcome").hidden = true;
    say(at("redrive-act"), "Try again");
    this.dialog.showModal();
  }

  async #redrive() {
    if (this.#isRunning || !this.#operation) return;
    this.#isRunning = true;
    const turn = this.#turn;
    // An answer that comes after the dialog was closed, or asks about another operation, is no answer to that one.
    const isOver = () => turn !== this.#turn || !this.dialog.open;
    say(at("redrive-act"), "Asking …");
    at("redrive-act").setAttribute("aria-disabled", "true");
    try {
      const done = await api.redrive(this.#operation, at("redrive-as").value.trim());
      if (isOver()) {
        this.announce(countText(done));
        this.onDone();
        return;
      }
      this.#isDone = true;
      say(at("redrive-title"), "Tried again");
      this.#show("good", ...doneText(done));
      at("redrive-question").hidden = true;
      at("redrive-cancel").hidden = true;
      say(at("redrive-act"), "Close");
      // The field that had the focus is gone.
      at("redrive-act").focus();
    } catch (error) {
      const problem = api.Problem.of(error);
      if (isOver()) {
        this.announce(`The redrive failed. ${problem.message}`);
        return;
      }
      if (problem.status === 401 && !problem.isLogin) this.dialog.close();
      if (problem.status === 401) this.onRefused(problem);
      const isUnknown = problem.status < 400 || problem.status >= 500;
      this.#show(
        "bad",
        h("b", {}, problem.title),
        problem.detail && h("p", {}, problem.detail),
        problem.isLogin && h("p", {}, "You are signed out. Reload the page to sign in."),
        isUnknown &&
          h("p", {}, "It may have been done in part. The same request again completes it, and does nothing twice."),
      );
      say(at("redrive-act"), "Try once more");
    } finally {
      if (turn === this.#turn) this.#rest();
    }
  }

  #rest() {
    at("redrive-act").removeAttribute("aria-disabled");
    this.#isRunning = false;
  }

  /**
   * @param {string} kind
   * @param {import("./dom.js").Child[]} content
   */
  #show(kind, ...content) {
    const outcome = at("redrive-outcome");
    outcome.className = `note ${kind}`;
    outcome.hidden = false;
    show(outcome, ...content);
  }
}

/** @param {Pick<Api.RedrivenBlobs, "blobs">} redriven */
const countText = ({ blobs }) =>
  blobs
    ? `${counted(blobs, "blob")} ${blobs === 1 ? "is" : "are"} on the retry queue.`
    : "Nothing was left to redrive.";

/** @param {Api.RedrivenBlobs} redriven */
function doneText({ redriveId, blobs, left }) {
  const rest = left
    ? ` ${counted(left, "blob")} that the app has given up ${left === 1 ? "is" : "are"} left.`
    : " None is left.";
  return [
    h("b", {}, countText({ blobs })),
    h("p", {}, blobs || left ? rest : " Others may have been first."),
    h("p", {}, "Written down as redrive ", h("code", {}, redriveId), "."),
  ];
}
