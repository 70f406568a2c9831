// Adding files: each is priced and explained before anything is sent; then its upload, which can be paused and resumed.

import { h, show } from "../dom.js";
import { get, post } from "../api.js";
import { count, length, minutes, price, rate, size, span, visible } from "../format.js";
import { chosen, lengthOf } from "../files.js";
import { icon } from "../icons.js";
import { emptyState, failure, fileName, gathered, heading, loading, prose, section } from "../parts.js";
import { fingerprint, Queue, unfinished } from "../uploads.js";
import { remarksOf } from "../verdict.js";

/** @typedef {import("../files.js").Picked} Picked */
/** @typedef {{file: File, path: string, seconds: number | null | undefined, found: Explained | null, error: Error | null}} Candidate */

const AT_ONCE = 4;

/** Uploads go on while other views are shown. */
let redraw = () => {};
const queue = new Queue(() => redraw());
/** @type {Candidate[]} */
let candidates = [];
let place = { inbox: "", folder: "" };
let onPicked = () => {};

/** Takes files from a drop anywhere in the window, or from a choice. @param {Picked[]} picked */
export function take(picked) {
  for (const { file, path } of picked) {
    const isKnown = candidates.some((known) => known.path === path && known.file.size === file.size);
    if (!isKnown) candidates.push({ file, path, seconds: undefined, found: null, error: null });
  }
  onPicked();
}

/** @param {import("../app.js").Context} context */
export function addFiles({ live, root, signal, session, setTitle }) {
  setTitle("Add files");
  /** @type {InboxConfig[]} */
  let inboxes = [];
  /** @type {any} */
  let trouble = null;
  /** @type {RemoteUpload[]} */
  let remotes = [];
  let isOver = false;

  const draw = () => {
    if (!session.uploads) return show(root, heading("Add files"), emptyState("Uploads are off", h("p", null, "Put files into an inbox yourself, or set ", h("code", null, "web.uploads: true"), ".")));
    if (trouble) return show(root, heading("Add files"), failure(trouble, () => void load()));
    if (!inboxes.length) return show(root, heading("Add files"), loading());
    const orphans = remotes.filter((remote) => !queue.uploads.some((upload) => upload.path === remote.path && upload.inbox === remote.inbox));
    show(root, heading("Add files"), target(), zone(), candidates.length > 0 && list(), interrupted(orphans), queue.uploads.length > 0 && sending());
  };
  redraw = gathered(async () => draw(), signal, 100);
  onPicked = () => {
    draw();
    if (inboxes.length) void explainAll();
  };

  let timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  /** @param {any} event */
  const type = (event) => {
    moveTo({ ...place, folder: event.target.value }, 250);
  };

  const target = () => {
    const inbox = h("select", { name: "inbox", on: { change: (/** @type {any} */ event) => moveTo({ ...place, inbox: event.target.value }) } }, inboxes.map(({ path }) => h("option", { value: path }, visible(path))));
    inbox.value = place.inbox;
    inbox.setAttribute("value", place.inbox);
    return h(
      "div",
      { key: "target", class: "filter target" },
      h("label", { class: "field" }, h("span", null, "Into the inbox"), inbox),
      h("label", { class: "field" }, h("span", null, "Folder in it (optional)"), h("input", { type: "text", name: "folder", value: place.folder, placeholder: "podcasts", spellcheck: "false", autocomplete: "off", on: { input: type } })),
    );
  };

  const zone = () => {
    const pick = h("input", { type: "file", multiple: true, class: "unseen", tabindex: "-1", "aria-hidden": "true", on: { change: (/** @type {any} */ event) => (take(chosen(event.target.files)), (event.target.value = "")) } });
    const on = {
      dragover: () => setOver(true),
      dragleave: () => setOver(false),
      drop: () => setOver(false), // the window takes the files
    };
    return h(
      "div",
      { key: "zone", class: `drop-zone ${isOver ? "is-over" : ""}`, on },
      icon("add"),
      h("p", null, h("strong", null, "Drop audio or video here"), h("span", null, "Files or whole folders. You see what each costs before it is sent.")),
      h("button", { type: "button", on: { click: (/** @type {any} */ event) => event.target.parentElement.querySelector("input[type=file]").click() } }, "Choose files"),
      pick,
    );
  };

  /** @param {boolean} over */
  const setOver = (over) => {
    if (over === isOver) return;
    isOver = over;
    draw();
  };

  /** What was said of the files does not hold for another place, so nothing can be sent until they are explained again. @param {typeof place} next @param {number} [pause] */
  const moveTo = (next, pause = 0) => {
    place = { ...next, folder: next.folder.trim().replace(/^\/+|\/+$/g, "") };
    for (const candidate of candidates) [candidate.found, candidate.error] = [null, null];
    round++;
    draw();
    clearTimeout(timer);
    timer = setTimeout(() => void explainAll(), pause);
  };

  let round = 0;
  const explainAll = async () => {
    const mine = ++round;
    const open = candidates.filter((candidate) => !candidate.found && !candidate.error);
    const worker = async () => {
      for (let next = open.shift(); next && mine === round && !signal.aborted; next = open.shift()) {
        await explain(next, mine);
        draw();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };

  /** An answer that comes when the place or the files have changed is not used. @param {Candidate} candidate @param {number} mine */
  const explain = async (candidate, mine) => {
    if (candidate.seconds === undefined) candidate.seconds = await lengthOf(candidate.file);
    const facts = { inbox: place.inbox, path: pathOf(candidate), size: candidate.file.size, seconds: candidate.seconds };
    const answer = await get("api/explain", facts, signal).catch((error) => error);
    if (mine !== round || signal.aborted) return;
    if (answer instanceof Error) candidate.error = answer;
    else candidate.found = answer;
  };

  /** @param {Candidate} candidate */
  const remove = (candidate) => {
    candidates = candidates.filter((other) => other !== candidate);
    draw();
  };

  const send = () => {
    for (const candidate of sendable()) {
      const path = pathOf(candidate);
      const known = remotes.find((remote) => remote.inbox === place.inbox && remote.path === path && remote.fingerprint === fingerprint(candidate.file));
      queue.add(candidate.file, place.inbox, path, known ?? null);
    }
    candidates = candidates.filter((candidate) => !isSendable(candidate));
    draw();
  };

  const list = () => {
    const ready = sendable();
    const known = ready.reduce((sum, { found }) => sum + (found?.minutes ?? 0), 0);
    const unknown = ready.filter(({ found }) => found?.minutes === null).length;
    const left = candidates.find(({ found }) => found)?.found?.minutes_left ?? live.status?.minutes.left ?? null;
    const isAsking = candidates.some((candidate) => !candidate.found && !candidate.error);
    return section(
      "Before they are sent",
      { key: "candidates", class: "candidates" },
      h("ul", { class: "rows" }, candidates.map((candidate) => candidateRow(candidate, remove))),
      h(
        "div",
        { class: "send-bar" },
        h("p", { "aria-live": "polite" }, isAsking ? "Pricing …" : ready.length > 0 && [h("strong", null, `${count(ready.length, "file")}: ${price(known, unknown)}`), left !== null && h("span", { class: "hint" }, ` of ${minutes(left)} left`)], !isAsking && left !== null && known > left && h("span", { class: "bad" }, " What does not fit is held until you top up.")),
        h("button", { type: "button", class: "primary", disabled: !ready.length || isAsking, on: { click: send } }, `Send ${count(ready.length, "file")}`),
        h("button", { type: "button", class: "plain", on: { click: () => ((candidates = []), draw()) } }, "Clear"),
      ),
    );
  };

  /** @param {RemoteUpload[]} orphans */
  const interrupted = (orphans) => {
    if (!orphans.length) return null;
    return section(
      "Interrupted",
      { key: "interrupted" },
      h("p", { class: "hint" }, "A browser keeps no files over a reload. Choose or drop the same file again, into the same inbox and folder, and it resumes where it was."),
      h(
        "ul",
        { class: "rows" },
        orphans.map((remote) =>
          h(
            "li",
            { key: remote.id, class: "row upload" },
            fileName(remote.path),
            h("progress", { max: remote.size || 1, value: remote.offset, "aria-label": `${visible(remote.path)}: sent` }),
            h("span", { class: "facts" }, `${size(remote.offset)} of ${size(remote.size)}`),
            h("button", { type: "button", class: "small", on: { click: () => void drop(remote) } }, "Remove"),
          ),
        ),
      ),
    );
  };

  /** @param {RemoteUpload} remote */
  const drop = async (remote) => {
    await post(`api/uploads/${encodeURIComponent(remote.id)}`, undefined, "DELETE").catch(() => {});
    await refreshRemotes();
  };

  const refreshRemotes = async () => {
    remotes = await unfinished().catch(() => remotes);
    draw();
  };

  const load = async () => {
    trouble = null;
    try {
      ({ inboxes } = await get("api/config", {}, signal));
      if (!inboxes.some(({ path }) => path === place.inbox)) place.inbox = inboxes[0]?.path ?? "";
    } catch (error) {
      if (signal.aborted) return;
      trouble = error;
    }
    draw();
    await refreshRemotes();
    void explainAll();
  };

  draw();
  if (session.uploads) void load();
}

/** @param {Candidate} candidate */
const pathOf = (candidate) => (place.folder ? `${place.folder}/${candidate.path}` : candidate.path);

/** @param {Candidate} candidate */
const isSendable = ({ found }) => found !== null && found.taken && !found.exists;

const sendable = () => candidates.filter(isSendable);

/** @param {Candidate} candidate @param {(candidate: Candidate) => void} remove */
function candidateRow(candidate, remove) {
  const { file, found, error, seconds } = candidate;
  const facts = [size(file.size), seconds ? length(seconds) : null, found?.rule && `rule ${found.rule}`].filter(Boolean).join(" · ");
  return h(
    "li",
    { key: `${candidate.path} ${file.size}`, class: "row candidate" },
    h("div", null, fileName(candidate.path), h("span", { class: "facts" }, facts), h("div", { class: "remarks" }, remarks(found, error))),
    h("span", { class: "figure" }, found ? (found.taken ? minutes(found.minutes) : "–") : error ? "–" : "…"),
    h("button", { type: "button", class: "plain icon-only", "aria-label": `Leave out ${visible(candidate.path)}`, on: { click: () => remove(candidate) } }, icon("close")),
  );
}

/** @param {Explained | null} found @param {Error | null} error */
function remarks(found, error) {
  if (error) return h("p", { class: "bad" }, error.message);
  if (!found) return null;
  if (!found.taken) return h("p", { class: "bad" }, "It would not be processed: ", prose(found.reason), ".");
  return [
    found.exists && h("p", { class: "bad" }, "A file of this name is in the inbox. Rename yours, or choose another folder."),
    found.known_job !== null && !found.exists && h("p", { class: "held" }, "A file of this name and size is known: ", h("a", { href: `#/jobs/${found.known_job}` }, `job ${found.known_job}`), "."),
    remarksOf(found),
  ];
}

/** The uploads of this browser. */
function sending() {
  const done = queue.uploads.filter(({ state }) => state === "done").length;
  return section(
    "Uploads",
    { key: "uploads", beside: h("span", { class: "count" }, `${done} of ${queue.uploads.length}`) },
    h("ul", { class: "rows" }, queue.uploads.map((upload) => uploadRow(upload))),
  );
}

/** @param {import("../uploads.js").Upload} upload */
function uploadRow(upload) {
  const { file, path, state, sent, error } = upload;
  const left = upload.rate ? `${rate(upload.rate)} · ${span((file.size - sent) / upload.rate)} left` : "";
  const told = { waiting: "Waiting", sending: left || "Sending", paused: "Paused", lost: "Connection lost; resumes automatically", done: "In the inbox", failed: "Not sent" }[state];
  const isActive = state === "sending" || state === "lost" || state === "waiting";
  return h(
    "li",
    { key: `${upload.inbox} ${path}`, class: `row upload is-${state}` },
    fileName(path),
    h("progress", { max: file.size || 1, value: sent, "aria-label": `${visible(path)}: sent` }),
    h("span", { class: "facts" }, `${size(sent)} of ${size(file.size)} · ${told}`),
    h(
      "span",
      { class: "row-actions" },
      isActive && h("button", { key: "pause", type: "button", class: "small", on: { click: () => upload.pause() } }, "Pause"),
      (state === "paused" || state === "failed") && h("button", { key: "resume", type: "button", class: "small", on: { click: () => queue.resume(upload) } }, state === "failed" ? "Try again" : "Resume"),
      h("button", { key: "remove", type: "button", class: "plain small", on: { click: () => void queue.remove(upload) } }, state === "done" ? "Hide" : "Cancel"),
    ),
    error && state !== "done" && h("p", { class: state === "failed" ? "bad" : "hint" }, visible(error.message), error.hint && [" ", prose(error.hint)]),
  );
}
