// What is looked at, as it stands in the address: so a view can be linked, and Back works.

const DEFAULTS = {
  period: "day",
  state: "",
  cluster: "",
  database: "",
  table: "",
  since: "",
  until: "",
  id: "",
  code: "",
  op: "",
  opCluster: "",
  opDatabase: "",
  opTable: "",
  status: "",
};
const NAMES = /** @type {(keyof View)[]} */ (Object.keys(DEFAULTS));
const FILTERS = /** @type {const} */ (["state", "cluster", "database", "table", "since", "until", "id", "code"]);
const MOMENTS = /** @type {const} */ (["since", "until"]);
export const PERIODS = {
  hour: { text: "hour", ms: 3_600_000 },
  day: { text: "day", ms: 86_400_000 },
  week: { text: "week", ms: 7 * 86_400_000 },
};

/** @typedef {keyof typeof PERIODS} Period */
/** @typedef {Omit<typeof DEFAULTS, "period"> & { period: Period }} View */
/** @typedef {Record<(typeof FILTERS)[number], string>} Filter */

export function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const said = Object.fromEntries(NAMES.map((name) => [name, words.get(name) ?? DEFAULTS[name]]));
  const view = /** @type {View} */ (said);
  if (!Object.hasOwn(PERIODS, view.period)) view.period = "day";
  for (const name of MOMENTS) if (Number.isNaN(Date.parse(view[name]))) view[name] = "";
  return view;
}

/**
 * The address of the present view with some changes.
 *
 * @param {Partial<View>} changes
 */
export function href(changes) {
  const words = new URLSearchParams();
  const view = { ...read(), ...changes };
  for (const name of NAMES) if (view[name] !== DEFAULTS[name]) words.set(name, view[name]);
  return `#${words}`;
}

/**
 * Goes to another view; in place of the present one in the history where it is only typing.
 *
 * @param {Partial<View>} changes
 * @param {{ isTyping?: boolean }} [options]
 */
export const go = (changes, options) => follow(href(changes), options);

/**
 * The same by its address.
 *
 * @param {string} target
 */
export function follow(target, { isTyping = false } = {}) {
  if (target === (location.hash || "#")) return;
  if (isTyping) history.replaceState(history.state, "", target);
  else history.pushState(null, "", target);
  dispatchEvent(new Event("viewchange"));
}

export const noFilter = () => /** @type {Filter} */ (Object.fromEntries(FILTERS.map((name) => [name, ""])));

/** @param {View} view */
export const filterOf = (view) => /** @type {Filter} */ (Object.fromEntries(FILTERS.map((name) => [name, view[name]])));

export const closed = { op: "", opCluster: "", opDatabase: "", opTable: "", status: "" };

/**
 * The view's changes that open an operation.
 *
 * @param {import("./api.js").Name} name
 */
export const opening = ({ operationId, cluster, database, table }) => ({
  op: operationId,
  opCluster: cluster ?? "",
  opDatabase: database ?? "",
  opTable: table ?? "",
  status: "",
});

/**
 * The operation that is open, by its ID and what tells it apart; null if none is.
 *
 * @param {View} view
 */
export function opened(view) {
  if (!view.op) return null;
  return { operationId: view.op, cluster: view.opCluster, database: view.opDatabase, table: view.opTable };
}
