// The app's HTTP API: requests with the key, answers as they are, and problems as one kind of error.

import * as key from "./key.js";

// Beside this file's folder, whatever the app's route prefix is.
const ROOT = new URL("../", import.meta.url);
const LONGEST_MS = 30_000;
const PAGE_OF_OPERATIONS = 100;
const PAGE_OF_BLOBS = 100;
// The clocks of two machines, and the time that an answer takes, differ by this much at the least.
const SKEW_MS = 60_000;

/**
 * An operation by its ID, and what tells it apart from others of that ID, as far as it is known.
 *
 * @typedef {{ operationId: string, cluster?: string, database?: string, table?: string }} Name
 */
/** @typedef {Record<string, string | number | null | undefined>} Query What says nothing is left out. */

/** The most that the API hands out at once. */
export const MOST_BLOBS = 1000;

/**
 * An answer that is none: `status` is 0 where nothing came, `retryAfter` are seconds where the answer names some,
 * `isLogin` says that a login is missing and not a key, `key` is what was in hand when it asked.
 */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {{ detail?: string, retryAfter?: number | null, isLogin?: boolean, key?: key.InHand | null, cause?: unknown }} more
   */
  constructor(status, title, { detail = "", retryAfter = null, isLogin = false, key: held = null, cause } = {}) {
    super(detail ? `${title}: ${detail}` : title, { cause });
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfter = retryAfter;
    this.isLogin = isLogin;
    this.key = held;
  }

  /**
   * What was caught, as a problem. A defect of the page itself belongs into the console too.
   *
   * @param {unknown} error
   */
  static of(error) {
    if (error instanceof Problem) return error;
    reportError(error);
    return new Problem(0, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** @type {number | null} */
let skew = null;
/** @type {(() => void) | null} */
let wrongClock = null;

/** The time by the server's clock, where this machine's is far from it: milliseconds. */
export const now = () => Date.now() + (skew ?? 0);

/** @param {() => void} act is called once, where the first answer shows that this machine's clock is wrong. */
export function onWrongClock(act) {
  wrongClock = act;
}

/** @param {Response} response */
function setClock(response) {
  const ahead = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (Number.isNaN(ahead)) return;
  const isFirst = skew === null;
  skew = Math.abs(ahead) > SKEW_MS ? ahead : 0;
  if (isFirst && skew) wrongClock?.();
}

/**
 * @param {{ since: string, until: string }} query
 * @returns {Promise<Api.Summary>}
 */
export const summary = (query) => ask("summary", { query, has: ["operations", "blobs", "buckets", "failures"] });

/** @returns {Promise<Api.ErrorCodes>} */
export const errorCodes = () => ask("error-codes", { has: ["errorCodes"] });

/**
 * An unhealthy app answers 503 with the same content.
 *
 * @returns {Promise<Api.Health>}
 */
export const health = () => ask("health", { has: ["checks"], isAnswer: (status) => status === 503 });

/**
 * @param {Query} query
 * @returns {Promise<Api.Operations>}
 */
export const operations = (query, limit = PAGE_OF_OPERATIONS) =>
  ask("operations", { query: { ...query, limit }, has: ["operations"] });

/**
 * @param {Name} name
 * @returns {Promise<Api.OperationWithLineage>}
 */
export const operation = (name) => ask(path(name), { query: { ...unpathed(name), ...place(name) }, has: ["blobs"] });

/**
 * @param {Name} name
 * @param {Query} query
 * @returns {Promise<Api.Blobs>}
 */
export const blobs = (name, query) =>
  ask(`${path(name)}/blobs`, {
    query: { limit: PAGE_OF_BLOBS, ...unpathed(name), ...place(name), ...query },
    has: ["blobs"],
  });

/**
 * @param {Name} name
 * @param {string} as
 * @returns {Promise<Api.RedrivenBlobs>}
 */
export const redrive = (name, as) =>
  ask(`${path(name)}/redrive`, { body: { operationId: name.operationId, ...place(name), ...(as ? { as } : {}) } });

/**
 * Not every ID can stand in a path: servers and browsers make something else of a slash and of dots alone.
 *
 * @param {string} operationId
 */
const isPathable = (operationId) => !/[/\\%]|^\.+$/.test(operationId);

/** @param {Name} name */
const path = ({ operationId }) => `operations/${isPathable(operationId) ? encodeURIComponent(operationId) : "-"}`;

/** @param {Name} name */
const unpathed = ({ operationId }) => (isPathable(operationId) ? {} : { operationId });

/**
 * What tells operations of one ID apart, as far as it is known.
 *
 * @param {Name} name
 */
function place({ cluster, database, table }) {
  return Object.fromEntries(Object.entries({ cluster, database, table }).filter(([, value]) => value));
}

/**
 * @template Answer
 * @param {string} where
 * @param {{
 *   query?: Query,
 *   body?: object | null,
 *   has?: (keyof Answer)[],
 *   isAnswer?: (status: number) => boolean,
 * }} how
 * @returns {Promise<Answer>}
 */
async function ask(where, { query = {}, body = null, has = [], isAnswer = () => false } = {}) {
  const url = new URL(where, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const held = key.inHand();
  const response = await send(url, body, held);
  setClock(response);
  // A login page stands elsewhere, and a page of scripts may not go there.
  if (response.type === "opaqueredirect") throw new Problem(401, "A login is needed", { isLogin: true });
  const content = await read(response);
  // What stands before the app may answer with anything; what the page relies on has to be there.
  const answer = /** @type {Answer} */ (content);
  const isWhole = content instanceof Object && has.every((name) => answer[name] instanceof Object);
  if (isWhole && (response.ok || isAnswer(response.status))) return answer;
  throw problemOf(response, content, held);
}

/**
 * @param {URL} url
 * @param {object | null} body
 * @param {key.InHand} held
 */
async function send(url, body, held) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json" };
  if (held.key) headers["x-functions-key"] = held.key;
  if (body) headers["Content-Type"] = "application/json";
  try {
    return await fetch(url, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      redirect: "manual",
      signal: AbortSignal.timeout(LONGEST_MS),
    });
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    throw new Problem(0, isLate ? "No answer came within 30 seconds" : "The connection failed", { cause: error });
  }
}

/**
 * @param {Response} response
 * @returns {Promise<unknown>} what its JSON says; null where it is none.
 */
async function read(response) {
  try {
    return JSON.parse(await response.text());
  } catch {
    return null;
  }
}

/**
 * @param {Response} response
 * @param {unknown} content
 * @param {key.InHand} held
 */
function problemOf(response, content, held) {
  const { status } = response;
  const said = /** @type {Partial<Api.Problem>} */ (content ?? {});
  // The host, which asks for keys, says no word; the app, which asks for a login, says why.
  if (status === 401)
    return new Problem(401, said.title ?? "A function key is needed", {
      detail: said.detail ?? "",
      isLogin: Boolean(content),
      key: held,
    });
  if (response.ok) return new Problem(status, "The answer is not understood");
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const title = said.title ?? `The answer's status was ${status}`;
  return new Problem(status, title, { detail: said.detail ?? "", retryAfter: Number.isNaN(wait) ? null : wait });
}
