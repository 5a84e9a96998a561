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
const FILTERS = ["state", "cluster", "database", "table", "since", "until", "id", "code"];
export const PERIODS = new Map([
  ["hour", { text: "hour", ms: 3_600_000 }],
  ["day", { text: "day", ms: 86_400_000 }],
  ["week", { text: "week", ms: 7 * 86_400_000 }],
]);

export function read() {
  const words = new URLSearchParams(location.hash.slice(1));
  const view = Object.fromEntries(Object.entries(DEFAULTS).map(([name, value]) => [name, words.get(name) ?? value]));
  if (!PERIODS.has(view.period)) view.period = DEFAULTS.period;
  for (const name of ["since", "until"]) if (Number.isNaN(Date.parse(view[name]))) view[name] = "";
  return view;
}

/** The address of the present view with some changes. */
export function href(changes) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...read(), ...changes })) {
    if (value !== DEFAULTS[name]) words.set(name, value);
  }
  return `#${words}`;
}

/** Goes to another view; in place of the present one in the history where it is only typing. */
export const go = (changes, options) => follow(href(changes), options);

/** The same by its address. */
export function follow(target, { isTyping = false } = {}) {
  if (target === (location.hash || "#")) return;
  if (isTyping) history.replaceState(history.state, "", target);
  else history.pushState(null, "", target);
  dispatchEvent(new Event("viewchange"));
}

export const noFilter = () => Object.fromEntries(FILTERS.map((name) => [name, ""]));

export const filterOf = (view) => Object.fromEntries(FILTERS.map((name) => [name, view[name]]));

export const isFiltered = (view) => FILTERS.some((name) => view[name]);

export const closed = { op: "", opCluster: "", opDatabase: "", opTable: "", status: "" };

/** The view's changes that open an operation. */
export const opening = ({ operationId, cluster, database, table }) => ({
  op: operationId,
  opCluster: cluster ?? "",
  opDatabase: database ?? "",
  opTable: table ?? "",
  status: "",
});

/** The operation that is open, by its ID and what tells it apart; null if none is. */
export function opened(view) {
  if (!view.op) return null;
  return { operationId: view.op, cluster: view.opCluster, database: view.opDatabase, table: view.opTable };
}
