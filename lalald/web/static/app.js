// The page: who is logged in, which view is shown, and whether lalald can be reached.

import { get, loginNeeded } from "./api.js";
import { h, show } from "./dom.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { buildShell } from "./shell.js";
import { addFiles } from "./views/add.js";
import { history } from "./views/history.js";
import { inboxes } from "./views/inboxes.js";
import { job } from "./views/job.js";
import { log } from "./views/log.js";
import { now } from "./views/now.js";

/**
 * What a view gets: the state of lalald, where it is shown, the rest of the address, and a signal that ends with it.
 * @typedef {{live: Live, root: HTMLElement, parts: string[], query: URLSearchParams, signal: AbortSignal, session: Session, setTitle: (title: string) => void}} Context
 */

/** @type {Record<string, (context: Context) => void>} */
const VIEWS = { now, history, jobs: job, add: addFiles, inboxes, log };

const live = new Live();
const shell = buildShell(live);
/** @type {Session | null} */
let session = null;
let view = new AbortController();

function openView() {
  if (!session) return;
  view.abort();
  view = new AbortController();
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...parts] = path.split("/");
  const known = name in VIEWS ? name : "now";
  const root = h("div", { class: `view view-${known}` });
  shell.select(known);
  document.body.classList.toggle("is-broad", known === "now" || known === "history");
  show(shell.main, root);
  live.watch(known === "jobs" ? Number(parts[0]) || null : null);
  VIEWS[known]({ live, root, parts, query: new URLSearchParams(query), signal: view.signal, session, setTitle });
  scrollTo(0, 0);
}

/** @param {string} title */
function setTitle(title) {
  document.title = `${title} · lalald`;
}

/** After a change of view a screen reader starts at its heading. */
function onNavigation() {
  openView();
  shell.main.querySelector("h1")?.focus({ preventScroll: true });
}

/** @param {Session} known */
function enter(known) {
  session = known;
  shell.enter(known);
  live.start();
  openView();
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
addEventListener("hashchange", () => (location.hash.startsWith("#login=") ? leave() : onNavigation()));

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
