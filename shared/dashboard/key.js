// The function key: kept for this tab alone, and never in the address bar.

const NAME = "tracker-function-key";
const FRAGMENT = "key";
/** @type {string | null} */
let held = null;
let declined = 0;

/** Takes a key out of the address, at once, so that it stands neither in the history nor in a link that is copied. */
export function takeFromAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const key = words.get(FRAGMENT);
  if (key === null) return false;
  words.delete(FRAGMENT);
  history.replaceState(history.state, "", `${location.pathname}${location.search}#${words}`);
  if (key) hold(key);
  return Boolean(key);
}

/** @param {string} key */
export function hold(key) {
  held = key;
  store((storage) => storage.setItem(NAME, key));
}

export function forget() {
  held = null;
  store((storage) => storage.removeItem(NAME));
}

export function current() {
  return held ?? store((storage) => storage.getItem(NAME));
}

/** A person does not want to give one now. */
export function decline() {
  declined += 1;
}

/** @typedef {{ key: string | null, declined: number }} InHand How it stood when a request was sent. */

/**
 * What a request is sent with, for when its answer comes.
 *
 * @returns {InHand}
 */
export const inHand = () => ({ key: current(), declined });

/**
 * Whether nobody has given another key since, or declined to give one.
 *
 * @param {InHand | null} then
 */
export const isStill = (then) => then !== null && then.key === current() && then.declined === declined;

/**
 * A browser may refuse to store anything; the key is kept in memory then.
 *
 * @template Kept
 * @param {(storage: Storage) => Kept} act
 */
function store(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null;
  }
}
