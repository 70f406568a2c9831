// What runs, what needs a person, what waits, what has just come out.

import { gathered } from "../answers.js";
import { h } from "../dom.js";
import { ago, count, dots, figure, labels, minutes, moment, pace, price, visible } from "../format.js";
import { button, fileName, heading, icon, jobLink, journey, link, loading, section, total } from "../ui.js";
import { needsYou } from "./needs.js";

const RUNNING_SHOWN = 8;

/** @type {View} */
export const now = ({ live, signal, redraw, answer }) => {
  const failed = answer("api/jobs", { state: "failed", limit: 200 });
  let showsAll = false;
  let known = "";
  const reload = gathered(failed.load, signal);
  const onStatus = () => {
    const figures = JSON.stringify([live.status?.jobs.failed, live.status?.failures]);
    if (known && figures !== known) reload();
    known = figures;
    redraw();
  };
  live.addEventListener("status", onStatus, { signal });
  const timer = setInterval(redraw, 20_000); // "2 min ago"
  signal.addEventListener("abort", () => clearInterval(timer));

  const running = (/** @type {Status} */ { under_way: jobs, jobs: { running: all }, daemon }) => {
    const hidden = jobs.length - RUNNING_SHOWN;
    return section(
      "running",
      "Running",
      total(Math.max(all, jobs.length)),
      jobs.length === 0 && h("p.hint", daemon.running ? "Nothing runs at the moment." : "lalald is not running."),
      h("ul.rows", (showsAll ? jobs : jobs.slice(0, RUNNING_SHOWN)).map(runningRow)),
      hidden > 0 && button(showsAll ? "Show fewer" : `Show ${figure(hidden)} more`, () => ((showsAll = !showsAll), redraw()), "plain", { "aria-expanded": String(showsAll) }),
      all > jobs.length && (showsAll || hidden <= 0) && link("history?state=running", `All ${figure(all)} running jobs`),
    );
  };

  return () => {
    const { status } = live;
    if (!status) return [heading("Now"), loading()];
    const isFirstVisit = Object.values(status.jobs).every((number) => number === 0);
    const needs = needsYou(status, status.jobs.failed ? (failed.value?.jobs ?? []) : []);
    const flow = isFirstVisit ? welcome(status) : [running(status), waiting(status), finished(status)];
    return [heading("Now"), figures(status), needs, h(`div.flow.${needs ? "is-beside" : ""}`, { key: "flow" }, flow)];
  };
};

/** @type {(status: Status) => Child} */
const figures = ({ daemon, service, minutes: spent }) => {
  const cell = (/** @type {string} */ name, /** @type {Child} */ value, /** @type {string} */ note) => h("div", h("dt", name), h("dd", h("b", value), h("small", note)));
  const state = (/** @type {boolean} */ isGood, /** @type {string} */ words) => h(`span.state.${isGood ? "good" : "bad"}`, words);
  const since = daemon.running && daemon.started_at ? `since ${moment(daemon.started_at)}` : "jobs wait until it is started";
  return h(
    "dl.figures",
    { key: "figures" },
    cell("Minutes left", spent.left === null ? "unknown" : minutes(spent.left), spent.left === null ? "not known yet" : `as of ${ago(spent.left_at)}`),
    cell("Spent today", minutes(spent.today), `${minutes(spent.this_month)} this month`),
    cell("lalald", state(daemon.running, daemon.running ? "Running" : "Not running"), since),
    cell("Service", state(!service.trouble, service.trouble ? "In trouble" : "Working"), service.trouble ? `since ${moment(service.since ?? "")}` : "LALAL.AI answers"),
  );
}

/** @param {Status} status */
function welcome({ inboxes }) {
  const steps = [
    ["Inbox", "A rule decides what is made of the file"],
    ["LALAL.AI", "It is uploaded and split; this is what costs minutes"],
    ["Outbox", "The tracks appear, all at once"],
    ["Here", "You listen to them"],
  ];
  return h(
    "section.welcome",
    { key: "welcome", "aria-label": "Drop your first song" },
    h("h2", "Drop your first song"),
    h("p", "Put an audio or video file into ", inboxes[0] ? h("code", visible(inboxes[0].path)) : "an inbox", ", or add it here. You see its price before anything is charged."),
    h("ol", steps.map(([where, what]) => h("li", h("b", where), h("span.hint", what)))),
    h("a.button.primary", { href: "#/add" }, icon("add"), "Add files"),
  );
}

const runningRow = (/** @type {RunningJob} */ job) =>
  h(
    "li.row.running",
    { key: job.id },
    jobLink(job.id, fileName(job.path)),
    h("span.doing", labels.stages[job.stage] ?? job.stage),
    journey(job),
    h("span.percent", job.stage !== "split" && `${Math.round(job.progress ?? 0)} %`),
    h("span.facts", pace(job.rate, job.seconds_left)),
  );

/** @param {Status} status */
function waiting({ jobs, stages, waiting: priced }) {
  if (!jobs.waiting) return null;
  const steps = Object.entries(stages).flatMap(([stage, number]) => (number > 0 ? `${figure(number)} to ${stage}` : []));
  const cost = priced.minutes || priced.unknown ? `${price(priced.minutes, priced.unknown)} will be charged.` : "Nothing more will be charged for them.";
  return section("waiting", "Waiting", null, h("p", link("history?state=waiting", count(jobs.waiting, "job")), steps.length > 0 && ` (${steps.join(", ")})`, ". ", cost));
}

/** @param {Status} status */
function finished({ finished: jobs }) {
  if (!jobs.length) return null;
  const row = (/** @type {FinishedJob} */ job) =>
    h(
      "li.row.finished",
      { key: job.id },
      h("a.listen", { href: `#/jobs/${job.id}/play`, "aria-label": `Listen to ${visible(job.path)}` }, icon("play")),
      jobLink(job.id, fileName(job.path)),
      h("span.where", job.folder ? fileName(job.folder) : "no new results"),
      h("span.facts", dots(job.minutes ? minutes(job.minutes) : "nothing charged", ago(job.finished_at))),
    );
  return section("done", "Just finished", link("history?state=done", "All"), h("ul.rows", jobs.map(row)));
}
