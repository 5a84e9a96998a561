// Asks for a function key where the API wants one.

import { at, h, say, show } from "./dom.js";
import * as key from "./key.js";

export class KeyDialog {
  /** @param {() => void} onKey is called once there is one to try. */
  constructor(onKey) {
    this.dialog = at("key-dialog");
    at("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      key.hold(at("key").value.trim());
      at("key").value = "";
      this.dialog.close();
      onKey();
    });
    at("key-cancel").addEventListener("click", () => {
      key.decline();
      this.dialog.close();
    });
    // By Escape.
    this.dialog.addEventListener("cancel", () => key.decline());
  }

  ask() {
    if (this.dialog.open) return;
    const isRefused = Boolean(key.current());
    at("key-refused").hidden = !isRefused;
    if (isRefused)
      show(at("key-refused"), h("b", {}, "The key was refused."), " It may be of another app, or renewed since.");
    say(at("key-title"), isRefused ? "Another function key, please" : "A function key, please");
    key.forget();
    this.dialog.showModal();
    at("key").focus();
  }
}
