// Asks the API again and again while somebody looks: each question by its own clock, less often while it fails.

import { Problem } from "./api.js";

const FIRST_WAIT_MS = 5000;
const LONGEST_WAIT_MS = 60_000;
// What a server wants to be left alone for is kept to, as far as somebody who looks would still wait.
const LONGEST_RETRY_AFTER_MS = 600_000;

/** What a question gives back that had nothing to ask the API: nothing was heard either. */
export const NOTHING_TO_ASK = Symbol("nothing to ask");

/**
 * When it may be asked again after so many failures in a row.
 *
 * @param {number} failures
 * @param {number | null} retryAfter in seconds.
 */
export function waitAfter(failures, retryAfter = null) {
  const wait = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
  return Math.max(wait, Math.min((retryAfter ?? 0) * 1000, LONGEST_RETRY_AFTER_MS));
}

/** One question that is asked for as long as the page is looked at. */
export class Question {
  /** @type {Problem | null} */
  problem = null;
  /** @type {number | null} */
  nextAt = null;
  /** @type {number | null} */
  lastHeard = null;

  /**
   * @param {Live} live
   * @param {string} name
   * @param {number} everyMs
   * @param {() => Promise<unknown>} ask
   */
  constructor(live, name, everyMs, ask) {
    this.live = live;
    this.name = name;
    this.everyMs = everyMs;
    this.ask = ask;
    this.failures = 0;
    this.round = 0;
    this.timer = 0;
    this.isRunning = false;
    this.isWantedAgain = false;
  }

  /** Asks at once; what comes while an answer is awaited is asked right after it. */
  async now() {
    clearTimeout(this.timer);
    if (this.isRunning) {
      this.isWantedAgain = true;
      return;
    }
    await this.#run();
  }

  /** Asks at once for another view: what is awaited for the last one no longer counts. */
  async anew() {
    clearTimeout(this.timer);
    await this.#run();
  }

  async #run() {
    this.round += 1;
    const { round } = this;
    this.isRunning = true;
    this.isWantedAgain = false;
    /** @type {Problem | null} */
    let problem = null;
    let isHeard = false;
    try {
      isHeard = (await this.ask()) !== NOTHING_TO_ASK;
    } catch (error) {
      problem = Problem.of(error);
    }
    if (round !== this.round) return;
    this.isRunning = false;
    this.#take(problem, isHeard);
    this.#plan();
    this.live.changed();
  }

  /**
   * @param {Problem | null} problem
   * @param {boolean} isHeard
   */
  #take(problem, isHeard) {
    this.problem = problem;
    this.failures = problem ? this.failures + 1 : 0;
    if (isHeard) this.lastHeard = Date.now();
    if (problem?.status === 401) this.live.refused(problem);
  }

  pause() {
    clearTimeout(this.timer);
    this.nextAt = null;
  }

  #plan() {
    const isAgain = this.isWantedAgain;
    this.isWantedAgain = false;
    if (isAgain) {
      this.now();
      return;
    }
    // A key that is refused once is refused again: a person has to do something first.
    if (document.hidden || this.problem?.status === 401) {
      this.nextAt = null;
      return;
    }
    const wait = this.problem ? waitAfter(this.failures, this.problem.retryAfter) : this.everyMs;
    this.nextAt = Date.now() + wait;
    this.timer = setTimeout(() => this.now(), wait);
  }
}

/** All questions, and how it stands with the API. */
export class Live {
  /** @type {Question[]} */
  #questions = [];

  /**
   * @param {object} told
   * @param {() => void} told.changed is called after each answer or failure.
   * @param {(problem: Problem) => void} told.refused gets the problem where a key is needed.
   */
  constructor({ changed, refused }) {
    this.changed = changed;
    this.refused = refused;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) for (const each of this.#questions) each.pause();
      else this.askAll();
      this.changed();
    });
  }

  /**
   * @param {string} name
   * @param {number} everyMs
   * @param {() => Promise<unknown>} ask
   */
  add(name, everyMs, ask) {
    const question = new Question(this, name, everyMs, ask);
    this.#questions.push(question);
    return question;
  }

  askAll() {
    return Promise.all(this.#questions.map((each) => each.now()));
  }

  /** When an answer came last, to any question; null before the first. */
  get lastHeard() {
    return Math.max(...this.#questions.map((each) => each.lastHeard ?? 0)) || null;
  }

  /** The question that fails, the most telling one first; undefined where none does. */
  get failing() {
    const failing = this.#questions.filter((each) => each.problem);
    return failing.find((each) => each.problem?.status === 401) ?? failing[0];
  }
}
