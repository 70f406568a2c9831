// Buttons that may spend: the price is shown first, and only what was shown is agreed to.

import { ApiError, onceKey, post } from "./api.js";
import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { count, minutes, price } from "./format.js";
import { say, sayError } from "./messages.js";
import { fileName, sentence } from "./parts.js";
import { VERBS } from "./words.js";

const SHOWN = 8;

/** @type {Record<string, (jobs: string) => string>} */
const ASKED = { retry: (jobs) => `Retry ${jobs}`, redo: (jobs) => `Process ${jobs} again`, release: (jobs) => `Release ${jobs}` };

/** @type {Record<string, (jobs: string) => string>} */
const ACCEPTED = { retry: (jobs) => `Retrying ${jobs}.`, redo: (jobs) => `Processing ${jobs} again.`, release: (jobs) => `Releasing ${jobs}.`, cancel: (jobs) => `Cancelling ${jobs}.` };

/**
 * Asks what it costs, asks the person, and leaves the request. True if anything was accepted.
 * @param {Verb} verb @param {any} which  `{ids}`, `{hold}` or `{state}`
 */
export async function act(verb, which) {
  try {
    /** @type {Quotes} */
    const quotes = await post("api/quotes", { action: verb, ...which });
    return await propose(verb, quotes.jobs, quotes.refused);
  } catch (error) {
    sayError(error);
    return false;
  }
}

/** @param {number[]} ids @param {string} what */
export async function cancel(ids, what) {
  const choice = await openDialog({
    title: ids.length === 1 ? `Cancel ${what}?` : `Cancel ${count(ids.length, "job")}?`,
    body: [h("p", null, "Running tasks are cancelled on the service too. Minutes that are charged stay charged; results that are not delivered yet are lost.")],
    actions: [["no", "Keep"], ["yes", ids.length === 1 ? "Cancel the job" : `Cancel ${count(ids.length, "job")}`, "danger"]],
  });
  if (choice !== "yes") return false;
  try {
    const answer = await post("api/cancel", { ids });
    return report("cancel", answer.results, answer.daemon_running);
  } catch (error) {
    sayError(error);
    return false;
  }
}

/** @param {Verb} verb @param {Quote[]} jobs @param {{id: number, message: string}[]} refused @param {string} [changed] @returns {Promise<boolean>} */
async function propose(verb, jobs, refused, changed = "") {
  if (!jobs.length) {
    sayError(new ApiError(refused[0]?.message ?? "There is nothing to do any more."));
    return false;
  }
  const known = jobs.reduce((sum, job) => sum + (job.minutes ?? 0), 0);
  const unknown = jobs.filter((job) => job.minutes === null).length;
  const charge = known || unknown ? `Up to ${price(known, unknown)} will be charged.` : "Nothing more will be charged.";
  const label = jobs.length === 1 ? VERBS[verb] : ASKED[verb](count(jobs.length, "job"));
  const choice = await openDialog({
    title: ASKED[verb](count(jobs.length, "job")),
    body: [
      changed && h("p", { class: "notice" }, changed),
      h("ul", { class: "quotes" }, jobs.slice(0, SHOWN).map(quoteRow)),
      jobs.length > SHOWN && h("p", { class: "hint" }, `and ${count(jobs.length - SHOWN, "more job")}`),
      refused.length > 0 && h("p", { class: "hint" }, `${count(refused.length, "job")} cannot be included: ${refused[0].message}`),
      h("p", { class: "charge" }, charge, unknown > 0 && h("span", { class: "hint" }, " An unknown length is found by the upload, which costs nothing; the service's figure then decides.")),
    ],
    actions: [["no", "Not now"], ["yes", known ? `${label} for ${minutes(known)}` : label, "primary"]],
  });
  return choice === "yes" ? send(verb, jobs) : false;
}

/** @param {Quote} job */
function quoteRow(job) {
  const stays = job.stays_held && h("span", { class: "hint" }, sentence(job.stays_held));
  return h("li", null, h("span", null, fileName(job.path), h("span", { class: "hint" }, sentence(job.what)), stays), h("span", { class: "figure" }, job.minutes === 0 ? "paid" : minutes(job.minutes)));
}

/** A request without an answer is sent again with the same key, so it acts once. @param {Verb} verb @param {Quote[]} jobs */
async function send(verb, jobs) {
  const body = { key: onceKey(), jobs };
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await post(`api/${verb}`, body);
      return report(verb, answer.results, answer.daemon_running);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 0 || attempt === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, attempt * 1000));
    }
  }
}

/** @param {Verb | "cancel"} verb @param {Result[]} results @param {boolean} isRunning @returns {boolean | Promise<boolean>} */
function report(verb, results, isRunning) {
  const accepted = results.filter((result) => result.accepted);
  const refused = results.filter((result) => !result.accepted);
  if (accepted.length) say(ACCEPTED[verb](count(accepted.length, "job")), isRunning ? null : "lalald is not running; it acts when it starts.");
  const again = refused.flatMap((result) => result.quote ?? []);
  if (again.length && verb !== "cancel") return propose(verb, again, [], refused[0].message);
  if (refused.length) sayError(new ApiError(refused[0].message, { hint: refused.length > 1 ? `So it is with ${count(refused.length - 1, "other job")}.` : null }));
  return accepted.length > 0;
}

/**
 * Tells what the daemon made of requests, where it is not what was agreed to.
 * @param {import("./live.js").Live} live
 */
export function tellVerdicts(live) {
  live.addEventListener("action", (event) => {
    /** @type {Result[]} */
    const results = /** @type {CustomEvent} */ (event).detail.results;
    const refused = results.filter((result) => !result.accepted);
    if (refused.length) sayError(new ApiError(`Job ${refused[0].id}: ${refused[0].message}`, { hint: refused.length > 1 ? `${count(refused.length - 1, "other job")} too.` : null }));
  });
}
