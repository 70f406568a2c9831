// What runs, what needs a person, what waits, what has just come out.

import { h, show } from "../dom.js";
import { get } from "../api.js";
import { ago, count, figure, minutes, moment, price, rate, span } from "../format.js";
import { icon } from "../icons.js";
import { fileName, gathered, heading, journey, loading, longPath, section } from "../parts.js";
import { NEXT_STEPS, STAGES } from "../words.js";
import { needsYou } from "./needs.js";

const RUNNING_SHOWN = 8;

/** @param {import("../app.js").Context} context */
export function now({ live, root, signal, setTitle }) {
  setTitle("Now");
  /** @type {Job[]} */
  let failed = [];
  let showsAll = false;

  const toggle = () => {
    showsAll = !showsAll;
    draw();
  };

  const draw = () => {
    const status = live.status;
    if (!status) return show(root, heading("Now"), loading());
    const needs = needsYou(status, failed);
    show(
      root,
      heading("Now"),
      figures(status),
      isFirstVisit(status) ? welcome(status) : null,
      needs,
      h("div", { key: "flow", class: `flow ${needs ? "is-beside" : ""}` }, running(status, showsAll, toggle), waiting(status), finished(status)),
    );
  };

  const loadFailed = gathered(async () => {
    if (live.status?.jobs.failed) failed = await get("api/jobs", { state: "failed", limit: 200 }, signal).then((found) => found.jobs, () => failed);
    else failed = [];
    if (!signal.aborted) draw();
  }, signal);

  let known = "";
  const onStatus = () => {
    const figures = JSON.stringify([live.status?.jobs.failed, live.status?.failures]);
    if (figures !== known) loadFailed();
    known = figures;
    draw();
  };
  live.addEventListener("status", onStatus, { signal });
  const timer = setInterval(draw, 20_000);
  signal.addEventListener("abort", () => clearInterval(timer));
  onStatus();
}

/** @param {Status} status */
function figures({ daemon, service, minutes: spent }) {
  const state = daemon.running ? h("span", { class: "state is-good" }, "Running") : h("span", { class: "state is-bad" }, "Not running");
  const since = daemon.running && daemon.started_at ? `since ${moment(daemon.started_at)}` : "jobs wait until it is started";
  return h(
    "dl",
    { class: "figures", key: "figures" },
    figureOf("Minutes left", spent.left === null ? "unknown" : withUnit(spent.left), spent.left === null ? "the service has not told yet" : `told ${ago(spent.left_at)}`, "is-main"),
    figureOf("Spent today", withUnit(spent.today), `${minutes(spent.this_month)} this month`),
    figureOf("lalald", state, since),
    figureOf("Service", service.trouble ? h("span", { class: "state is-warn" }, "In trouble") : h("span", { class: "state is-good" }, "Working"), service.trouble ? `since ${moment(service.since)}` : "LALAL.AI answers"),
  );
}

/** @param {number} price */
function withUnit(price) {
  return [minutes(price).replace(" min", ""), h("span", { class: "unit" }, " min")];
}

/** @param {string} name @param {import("../dom.js").Child} value @param {string} note @param {string} [kind] */
function figureOf(name, value, note, kind = "") {
  return h("div", { class: kind }, h("dt", null, name), h("dd", null, h("span", { class: "value" }, value), h("span", { class: "note" }, note)));
}

/** @param {Status} status */
function isFirstVisit(status) {
  return Object.values(status.jobs).every((number) => number === 0);
}

/** @param {Status} status */
function welcome(status) {
  const inbox = status.inboxes[0]?.path;
  return h(
    "section",
    { class: "welcome", key: "welcome", "aria-labelledby": "welcome" },
    h("h2", { id: "welcome" }, "Drop your first song"),
    h("p", null, "Put an audio or video file into ", inbox ? h("code", null, inbox) : "an inbox", ", or add it here. You see its price before anything is charged."),
    h(
      "ol",
      { class: "travel" },
      [["Inbox", "A rule decides what is made of the file"], ["LALAL.AI", "It is uploaded and split; this is what costs minutes"], ["Outbox", "The tracks appear, all at once"], ["Here", "You listen to them"]].map(([where, what]) => h("li", null, h("strong", null, where), h("span", null, what))),
    ),
    h("a", { class: "button primary", href: "#/add" }, icon("add"), "Add files"),
  );
}

/** @param {Status} status @param {boolean} showsAll @param {() => void} toggle */
function running(status, showsAll, toggle) {
  const jobs = status.under_way;
  if (isFirstVisit(status)) return null;
  const total = Math.max(status.jobs.running, jobs.length);
  const shown = showsAll ? jobs : jobs.slice(0, RUNNING_SHOWN);
  const hidden = jobs.length - RUNNING_SHOWN;
  return section(
    "Running",
    { key: "running", beside: total > 0 && h("span", { class: "count" }, figure(total)) },
    jobs.length === 0 ? h("p", { class: "quiet" }, status.daemon.running ? "Nothing runs at the moment." : "lalald is not running.") : h("ul", { class: "rows" }, shown.map((job) => runningRow(job))),
    hidden > 0 && h("button", { type: "button", class: "plain", "aria-expanded": String(showsAll), on: { click: toggle } }, showsAll ? "Show fewer" : `Show ${figure(hidden)} more`),
    total > jobs.length && (showsAll || hidden <= 0) && h("a", { class: "more", href: "#/history?state=running" }, `All ${figure(total)} running jobs`),
  );
}

/** @param {RunningJob} job */
function runningRow(job) {
  const facts = [job.rate ? rate(job.rate) : null, job.seconds_left !== null ? `${span(job.seconds_left)} left` : null].filter(Boolean).join(" · ");
  return h(
    "li",
    { key: job.id, class: "row running" },
    h("a", { href: `#/jobs/${job.id}` }, fileName(job.path)),
    h("span", { class: "doing" }, STAGES[job.stage] ?? job.stage),
    journey(job),
    h("span", { class: "percent" }, job.stage === "split" ? "" : `${Math.round(job.progress ?? 0)} %`),
    h("span", { class: "facts" }, facts),
  );
}

/** @param {Status} status */
function waiting({ jobs, stages, waiting: priced }) {
  if (!jobs.waiting) return null;
  const steps = Object.entries(stages).filter(([, number]) => number > 0).map(([stage, number]) => `${figure(number)} ${NEXT_STEPS[stage]}`);
  return section(
    "Waiting",
    { key: "waiting", beside: h("span", { class: "count" }, figure(jobs.waiting)) },
    h("p", { class: "summary" }, h("a", { href: "#/history?state=waiting" }, count(jobs.waiting, "job")), steps.length ? ` (${steps.join(", ")}). ` : ". ", priced.minutes || priced.unknown ? `${price(priced.minutes, priced.unknown)} will be charged.` : "Nothing more will be charged for them."),
  );
}

/** @param {Status} status */
function finished({ finished: jobs }) {
  if (!jobs.length) return null;
  return section(
    "Just finished",
    { key: "finished", beside: h("a", { class: "more", href: "#/history?state=done" }, "All") },
    h(
      "ul",
      { class: "rows" },
      jobs.map((job) =>
        h(
          "li",
          { key: job.id, class: "row finished" },
          h("a", { class: "listen", href: `#/jobs/${job.id}/play`, "aria-label": `Listen to ${job.path}` }, icon("play")),
          h("a", { href: `#/jobs/${job.id}` }, fileName(job.path)),
          h("span", { class: "where" }, job.folder ? longPath(job.folder) : "no new results"),
          h("span", { class: "facts" }, `${job.minutes ? minutes(job.minutes) : "nothing charged"} · ${ago(job.finished_at)}`),
        ),
      ),
    ),
  );
}

