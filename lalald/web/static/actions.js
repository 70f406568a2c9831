// Buttons that may spend: the price is shown first, and only what was shown is agreed to.

import { ApiError, onceKey, post } from "./api.js";
import { h } from "./dom.js";
import { count, minutes, price } from "./format.js";
import { ask, fileName, say, sayError, sentence, VERBS } from "./ui.js";

const SHOWN = 8;

/** @type {(verb: Verb | "cancel", number: number) => string} */
const titleOf = (verb, number) => (verb === "redo" ? `Process ${count(number, "job")} again` : `${VERBS[verb]} ${count(number, "job")}`);

/** Asks what it costs, asks the person, and leaves the request. True if anything was accepted. @type {(verb: Verb, which: {ids: number[]} | {hold: string} | {state: string}) => Promise<boolean>} */
export const act = async (verb, which) => {
  try {
    const { jobs, refused } = await post("api/quotes", { action: verb, ...which });
    return await propose(verb, jobs, refused);
  } catch (error) {
    return sayError(error);
  }
};

/** @type {(ids: number[], what: string) => Promise<boolean>} */
export const cancel = async (ids, what) => {
  const body = h("p", "Running tasks are cancelled on the service too. Minutes that are charged stay charged; results that are not delivered yet are lost.");
  const choice = await ask(`Cancel ${ids.length === 1 ? what : count(ids.length, "job")}?`, body, ["", "Keep"], ["yes", ids.length === 1 ? "Cancel the job" : titleOf("cancel", ids.length), "danger"]);
  return choice !== "" && post("api/cancel", { ids }).then((answer) => report("cancel", answer), sayError);
};

/** @type {(verb: Verb, jobs: Quote[], refused: {message: string}[], changed?: string) => Promise<boolean>} */
const propose = async (verb, jobs, refused, changed) => {
  if (!jobs.length) return sayError(new ApiError(refused[0]?.message ?? "There is nothing to do any more."));
  const known = jobs.reduce((sum, job) => sum + (job.minutes ?? 0), 0);
  const unknown = jobs.filter((job) => job.minutes === null).length;
  const label = jobs.length === 1 ? VERBS[verb] : titleOf(verb, jobs.length);
  const body = [
    changed && h("p.notice", changed),
    h("ul.rows", jobs.slice(0, SHOWN).map(quoteRow)),
    jobs.length > SHOWN && h("p.hint", `and ${count(jobs.length - SHOWN, "more job")}`),
    refused.length > 0 && h("p.hint", `${count(refused.length, "job")} cannot be included: ${refused[0].message}`),
    h("p", h("b", known || unknown ? `Up to ${price(known, unknown)} will be charged.` : "Nothing more will be charged.")),
    unknown > 0 && h("p.hint", "An unknown length is found by the upload, which costs nothing; the service's figure then decides."),
  ];
  const choice = await ask(titleOf(verb, jobs.length), body, ["", "Not now"], ["yes", known ? `${label} for ${minutes(known)}` : label, "primary"]);
  return choice !== "" && send(verb, jobs);
};

const quoteRow = (/** @type {Quote} */ job) =>
  h("li.row.quote", fileName(job.path), h("span.figure", job.minutes === 0 ? "paid" : minutes(job.minutes)), h("small", sentence(job.what), ". ", sentence(job.stays_held)));

/** Without an answer it is sent again with the same key, so it acts once. @type {(verb: Verb, jobs: Quote[], key?: string, attempt?: number) => Promise<boolean>} */
const send = async (verb, jobs, key = onceKey(), attempt = 1) => {
  try {
    return await report(verb, await post(`api/${verb}`, { key, jobs }));
  } catch (error) {
    if (/** @type {ApiError} */ (error).status !== 0 || attempt === 3) throw error;
    await new Promise((resolve) => setTimeout(resolve, attempt * 1000));
    return send(verb, jobs, key, attempt + 1);
  }
};

/** @type {(verb: Verb | "cancel", answer: {results: Result[], daemon_running: boolean}) => boolean | Promise<boolean>} */
const report = (verb, { results, daemon_running: isRunning }) => {
  const refused = results.filter((result) => !result.accepted);
  const accepted = results.length - refused.length;
  if (accepted) say(`${titleOf(verb, accepted)}: requested.`, isRunning ? null : "lalald is not running; it acts when it starts.");
  const again = refused.flatMap((result) => result.quote ?? []);
  if (again.length && verb !== "cancel") return propose(verb, again, [], refused[0].message);
  if (refused.length) sayError(refused[0], refused.length - 1);
  return accepted > 0;
};

/** Says what the daemon made of a request, where it is not what was agreed to. @type {(results: Result[]) => void} */
export const sayVerdict = (results) => {
  const refused = results.filter((result) => !result.accepted);
  if (refused.length) sayError(new ApiError(`Job ${refused[0].id}: ${refused[0].message}`), refused.length - 1);
};
