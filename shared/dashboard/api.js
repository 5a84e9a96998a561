// The app's HTTP API: requests with the key, answers as they are, and problems as one kind of error.

import * as key from "./key.js";

// Beside this file's folder, whatever the app's route prefix is.
const ROOT = new URL("../", import.meta.url);
const LONGEST_MS = 30_000;
const PAGE_OF_OPERATIONS = 100;
const PAGE_OF_BLOBS = 100;
// The clocks of two machines, and the time that an answer takes, differ by this much at the least.
const SKEW_MS = 60_000;
/** The most that the API hands out at once. */
export const MOST_BLOBS = 1000;

/**
 * An answer that is none: `status` is 0 where nothing came, `retryAfter` are seconds where the answer names some,
 * `isLogin` says that a login is missing and not a key, `key` is what was in hand when it asked.
 */
export class Problem extends Error {
  constructor(status, title, { detail = "", retryAfter = null, isLogin = false, key: held = null } = {}) {
    super(detail ? `${title}: ${detail}` : title);
    Object.assign(this, { status, title, detail, retryAfter, isLogin, key: held });
  }
}

let skew = null;
let wrongClock = () => {};

/** The time by the server's clock, where this machine's is far from it: milliseconds. */
export const now = () => Date.now() + (skew ?? 0);

/** @param act is called once, where the first answer shows that this machine's clock is wrong. */
export function onWrongClock(act) {
  wrongClock = act;
}

function setClock(response) {
  const ahead = Date.parse(response.headers.get("Date") ?? "") - Date.now();
  if (Number.isNaN(ahead)) return;
  const isFirst = skew === null;
  skew = Math.abs(ahead) > SKEW_MS ? ahead : 0;
  if (isFirst && skew) wrongClock();
}

export const summary = (query) =>
  ask("summary", { query, has: ["operations", "blobs", "buckets", "failures"] });

export const errorCodes = () => ask("error-codes", { has: ["errorCodes"] });

/** An unhealthy app answers 503 with the same content. */
export const health = () =>
  ask("health", { has: ["checks"], isAnswer: (status) => status === 503 });

export const operations = (query, limit = PAGE_OF_OPERATIONS) => ask("operations", { query: { ...query, limit }, has: ["operations"] });

export const operation = (name) => ask(path(name), { query: { ...unpathed(name), ...place(name) }, has: ["blobs"] });

export const blobs = (name, query) =>
  ask(`${path(name)}/blobs`, {
    query: { limit: PAGE_OF_BLOBS, ...unpathed(name), ...place(name), ...query },
    has: ["blobs"],
  });

export const redrive = (name, as) =>
  ask(`${path(name)}/redrive`, { body: { operationId: name.operationId, ...place(name), ...(as ? { as } : {}) } });

/** Not every ID can stand in a path: servers and browsers make something else of a slash and of dots alone. */
const isPathable = (operationId) => !/[/\\%]|^\.+$/.test(operationId);

const path = ({ operationId }) => `operations/${isPathable(operationId) ? encodeURIComponent(operationId) : "-"}`;

const unpathed = ({ operationId }) => (isPathable(operationId) ? {} : { operationId });

/** What tells operations of one ID apart, as far as it is known. */
function place({ cluster, database, table }) {
  return Object.fromEntries(Object.entries({ cluster, database, table }).filter(([, value]) => value));
}

async function ask(where, { query = {}, body = null, has = [], isAnswer = () => false } = {}) {
  const url = new URL(where, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const held = key.inHand();
  const response = await send(url, body, held);
  setClock(response);
  // A login page stands elsewhere, and a page of scripts may not go there.
  if (response.type === "opaqueredirect") throw new Problem(401, "A login is needed", { isLogin: true });
  const content = await read(response);
  // What stands before the app may answer with anything; what the page relies on has to be there.
  const isWhole = typeof content === "object" && has.every((name) => content?.[name] instanceof Object);
  if (isWhole && (response.ok || isAnswer(response.status))) return content;
  throw problemOf(response, content, held);
}

async function send(url, body, held) {
  const headers = { Accept: "application/json" };
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
    throw new Problem(0, error.name === "TimeoutError" ? "No answer came within 30 seconds" : "The connection failed");
  }
}

async function read(response) {
  try {
    return JSON.parse(await response.text());
  } catch {
    return undefined;
  }
}

function problemOf(response, content, held) {
  const { status } = response;
  // The host, which asks for keys, says no word; the app, which asks for a login, says why.
  if (status === 401)
    return new Problem(401, content?.title ?? "A function key is needed", {
      detail: content?.detail,
      isLogin: Boolean(content),
      key: held,
    });
  if (response.ok) return new Problem(status, "The answer is not understood");
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const title = content?.title ?? `The answer's status was ${status}`;
  return new Problem(status, title, { detail: content?.detail, retryAfter: Number.isNaN(wait) ? null : wait });
}
