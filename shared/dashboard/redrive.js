// Asks once whether blobs are to be tried again, and says what came of it.

import * as api from "./api.js";
import { h, say, show } from "./dom.js";
import { counted } from "./format.js";

const at = (id) => document.getElementById(id);

export class RedriveDialog {
  #operation = null;
  #isDone = false;
  #isRunning = false;

  /** @param onDone is called once something was redriven; @param onRefused where a key is needed first. */
  constructor({ onDone, onRefused }) {
    Object.assign(this, { onDone, onRefused });
    this.dialog = at("redrive-dialog");
    at("redrive-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#isDone) this.dialog.close();
      else this.#redrive();
    });
    at("redrive-cancel").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      if (this.#isDone) this.onDone();
    });
  }

  ask(operation, { count, isWhole }) {
    this.#operation = operation;
    this.#isDone = false;
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
    if (this.#isRunning) return;
    this.#isRunning = true;
    say(at("redrive-act"), "Asking …");
    at("redrive-act").setAttribute("aria-disabled", "true");
    try {
      const done = await api.redrive(this.#operation, at("redrive-as").value.trim());
      this.#isDone = true;
      this.#show("good", ...doneText(done));
      at("redrive-question").hidden = true;
      at("redrive-cancel").hidden = true;
      say(at("redrive-act"), "Close");
    } catch (problem) {
      if (problem.status === 401) {
        this.dialog.close();
        this.onRefused();
      }
      const isUnknown = problem.status === 0 || problem.status >= 500;
      this.#show(
        "bad",
        h("b", {}, problem.title),
        problem.detail && h("p", {}, problem.detail),
        isUnknown &&
          h("p", {}, "It may have been done in part. The same request again completes it, and does nothing twice."),
      );
      say(at("redrive-act"), "Try once more");
    } finally {
      at("redrive-act").removeAttribute("aria-disabled");
      this.#isRunning = false;
    }
  }

  #show(kind, ...content) {
    const outcome = at("redrive-outcome");
    outcome.className = `note ${kind}`;
    outcome.hidden = false;
    show(outcome, ...content);
  }
}

function doneText({ redriveId, blobs, left }) {
  const done = blobs
    ? `${counted(blobs, "blob")} ${blobs === 1 ? "is" : "are"} on the retry queue.`
    : "Nothing was left to redrive.";
  const rest = left
    ? ` ${counted(left, "blob")} that the app has given up ${left === 1 ? "is" : "are"} left.`
    : " None is left.";
  return [
    h("b", {}, done),
    h("p", {}, blobs || left ? rest : " Others may have been first."),
    h("p", {}, "Written down as redrive ", h("code", {}, redriveId), "."),
  ];
}
