// Buttons that may spend: the price is shown first, and only what was shown is agreed to.

import { ApiError, onceKey, post } from "./api.js";
import { h } from "./dom.js";
import { count, minutes, price } from "./format.js";
import { ask, fileName, say, sayError, sentence, VERBS } from "./ui.js";

const SHOWN = 8;

/** @type {Record<string, (jobs: string) => string>} */
const TITLES = { retry: (jobs) => `Retry ${jobs}`, redo: (jobs) => `Process ${jobs} again`, release: (jobs) => `Release ${jobs}`, cancel: (jobs) => `Cancel ${jobs}` };

/** Asks what it costs, asks the person, and leaves the request. True if anything was accepted. @param {Verb} verb @param {{ids: number[]} | {hold: string} | {state: string}} which */
export async function act(verb, which) {
  try {
    const { jobs, refused } = await post("api/quotes", { action: verb, ...which });
    return await propose(verb, jobs, refused);
  } catch (error) {
    return sayError(error);
  }
}

/** @param {number[]} ids @param {string} what */
export async function cancel(ids, what) {
  const [title, label] = ids.length === 1 ? [`Cancel ${what}?`, "Cancel the job"] : [`${TITLES.cancel(count(ids.length, "job"))}?`, TITLES.cancel(count(ids.length, "job"))];
  const body = h("p", "Running tasks are cancelled on the service too. Minutes that are charged stay charged; results that are not delivered yet are lost.");
  if ((await ask(title, [body], ["no", "Keep"], ["yes", label, "danger"])) !== "yes") return false;
  try {
    return report("cancel", await post("api/cancel", { ids }));
  } catch (error) {
    return sayError(error);
  }
}

/** @param {Verb} verb @param {Quote[]} jobs @param {{message: string}[]} refused @returns {Promise<boolean>} */
async function propose(verb, jobs, refused, changed = "") {
  if (!jobs.length) return sayError(new ApiError(refused[0]?.message ?? "There is nothing to do any more."));
  const known = jobs.reduce((sum, job) => sum + (job.minutes ?? 0), 0);
  const unknown = jobs.filter((job) => job.minutes === null).length;
  const title = TITLES[verb](count(jobs.length, "job"));
  const label = jobs.length === 1 ? VERBS[verb] : title;
  const body = [
    changed && h("p.notice", changed),
    h("ul.rows", jobs.slice(0, SHOWN).map(quoteRow)),
    jobs.length > SHOWN && h("p.hint", `and ${count(jobs.length - SHOWN, "more job")}`),
    refused.length > 0 && h("p.hint", `${count(refused.length, "job")} cannot be included: ${refused[0].message}`),
    h("p", h("b", known || unknown ? `Up to ${price(known, unknown)} will be charged.` : "Nothing more will be charged.")),
    unknown > 0 && h("p.hint", "An unknown length is found by the upload, which costs nothing; the service's figure then decides."),
  ];
  const choice = await ask(title, body, ["no", "Not now"], ["yes", known ? `${label} for ${minutes(known)}` : label, "primary"]);
  return choice === "yes" && send(verb, jobs);
}

const quoteRow = (/** @type {Quote} */ job) =>
  h("li.row.quote", fileName(job.path), h("span.figure", job.minutes === 0 ? "paid" : minutes(job.minutes)), h("small", sentence(job.what), ". ", sentence(job.stays_held)));

/** Without an answer it is sent again with the same key, so it acts once. @param {Verb} verb @param {Quote[]} jobs */
async function send(verb, jobs) {
  const body = { key: onceKey(), jobs };
  for (let attempt = 1; ; attempt++) {
    try {
      return report(verb, await post(`api/${verb}`, body));
    } catch (error) {
      if (/** @type {ApiError} */ (error).status !== 0 || attempt === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, attempt * 1000));
    }
  }
}

/** @param {Verb | "cancel"} verb @param {{results: Result[], daemon_running: boolean}} answer */
function report(verb, { results, daemon_running: isRunning }) {
  const refused = results.filter((result) => !result.accepted);
  const accepted = results.length - refused.length;
  if (accepted) say(`${TITLES[verb](count(accepted, "job"))}: requested.`, isRunning ? null : "lalald is not running; it acts when it starts.");
  const again = refused.flatMap((result) => result.quote ?? []);
  if (again.length && verb !== "cancel") return propose(verb, again, [], refused[0].message);
  if (refused.length) sayError(refused[0], refused.length - 1);
  return accepted > 0;
}

/** Says what the daemon made of a request, where it is not what was agreed to. @param {Result[]} results */
export function sayVerdict(results) {
  const refused = results.filter((result) => !result.accepted);
  if (refused.length) sayError(new ApiError(`Job ${refused[0].id}: ${refused[0].message}`), refused.length - 1);
}
