// The page: who is logged in, which view is shown, and whether lalald can be reached.

import { tellVerdicts } from "./acts.js";
import { get, loginNeeded } from "./api.js";
import { h, show } from "./dom.js";
import { dropped } from "./files.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { failure } from "./parts.js";
import { buildShell } from "./shell.js";

/**
 * What a view gets: the state of lalald, where it is shown, the rest of the address, and a signal that ends with it.
 * @typedef {{live: Live, root: HTMLElement, parts: string[], query: URLSearchParams, signal: AbortSignal, session: Session, setTitle: (title: string) => void}} Context
 */

/** Read when they are first shown. @type {Record<string, () => Promise<(context: Context) => void>>} */
const VIEWS = {
  now: async () => (await import("./views/now.js")).now,
  add: async () => (await import("./views/add.js")).addFiles,
  history: async () => (await import("./views/history.js")).history,
  jobs: async () => (await import("./views/job.js")).job,
  inboxes: async () => (await import("./views/inboxes.js")).inboxes,
  log: async () => (await import("./views/log.js")).log,
};

const live = new Live();
const shell = buildShell(live);
tellVerdicts(live);
/** @type {Session | null} */
let session = null;
let view = new AbortController();

async function openView() {
  if (!session) return;
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/");
  const known = name in VIEWS ? name : "now";
  const root = h("div", { class: `view view-${known}` });
  shell.select(known);
  live.watch(known === "jobs" ? Number(parts[0]) || null : null);
  const draw = await VIEWS[known]().catch(() => null);
  if (signal.aborted) return;
  shell.main.replaceChildren(root);
  scrollTo(0, 0);
  if (!draw) return show(root, failure(new Error("This view could not be read from lalald."), () => location.reload()));
  draw({ live, root, parts, query: new URLSearchParams(query), signal, session, setTitle });
}

/** @param {string} title */
function setTitle(title) {
  document.title = `${title} · lalald`;
}

/** After a change of view a screen reader starts at its heading. */
async function onNavigation() {
  await openView();
  shell.main.querySelector("h1")?.focus({ preventScroll: true });
}

/** @param {Session} known */
function enter(known) {
  session = known;
  shell.enter(known);
  live.start();
  void openView();
}

function leave() {
  session = null;
  live.stop();
  view.abort();
  shell.leave();
  setTitle("Log in");
  void login(shell.main).then(enter);
}

loginNeeded.addEventListener("needed", () => {
  if (session) leave();
});
addEventListener("hashchange", () => (location.hash.startsWith("#login=") ? leave() : void onNavigation()));

/** Files may be dropped into the window whatever view it shows. */
addEventListener("dragover", (event) => session && event.preventDefault());
addEventListener("drop", (event) => {
  if (!session || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  const picked = dropped(event.dataTransfer);
  location.hash = "#/add";
  void import("./views/add.js").then(async ({ take }) => take(await picked));
});

async function begin() {
  if (location.hash.startsWith("#login=")) return leave();
  try {
    enter(await get("api/session"));
  } catch (error) {
    if (/** @type {any} */ (error).status === 401) return leave();
    shell.cannotStart(/** @type {Error} */ (error).message, () => void begin());
  }
}

void begin();
