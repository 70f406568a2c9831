// Buttons that may spend: the price is shown first, and only what was shown is agreed to.

import { ApiError, onceKey, post } from "./api.js";
import { h } from "./dom.js";
import { count, minutes, price } from "./format.js";
import { ask, fileName, say, sayError, sentence, VERBS } from "./ui.js";

const SHOWN = 8;

/** @type {Actions} */
export const { act, cancel, sayVerdict, titleOf, propose, report } = {
  act: (verb, which) => post("api/quotes", { action: verb, ...which }).then(({ jobs, refused }) => propose(verb, jobs, refused)).catch(sayError),

  async cancel(ids, what) {
    const body = h("p", "Running tasks are cancelled on the service too. Minutes that are charged stay charged; results that are not delivered yet are lost.");
    const choice = await ask(`Cancel ${ids.length === 1 ? what : count(ids.length, "job")}?`, body, ["", "Keep"], ["yes", ids.length === 1 ? "Cancel the job" : titleOf("cancel", ids.length), "danger"]);
    return choice !== "" && post("api/cancel", { ids }).then((answer) => report("cancel", answer), sayError);
  },

  // what the daemon made of a request, where it is not what was agreed to
  sayVerdict(results) {
    const refused = results.filter((result) => !result.accepted);
    if (refused.length) sayError(new ApiError(`Job ${refused[0].id}: ${refused[0].message}`), refused.length - 1);
  },

  titleOf: (verb, number) => (verb === "redo" ? `Process ${count(number, "job")} again` : `${VERBS[verb]} ${count(number, "job")}`),

  async propose(verb, jobs, refused, changed) {
    if (!jobs.length) return sayError(new ApiError(refused[0]?.message ?? "There is nothing to do any more."));
    const known = jobs.reduce((sum, job) => sum + (job.minutes ?? 0), 0);
    const unknown = jobs.filter((job) => job.minutes === null).length;
    const label = jobs.length === 1 ? VERBS[verb] : titleOf(verb, jobs.length);
    const row = (/** @type {Quote} */ { path, minutes: cost, what, stays_held: stays }) =>
      h("li.row.quote", fileName(path), h("span.figure", cost === 0 ? "paid" : minutes(cost)), h("small", sentence(what), ". ", sentence(stays)));
    const body = [
      changed && h("p.notice", changed),
      h("ul.rows", jobs.slice(0, SHOWN).map(row)),
      jobs.length > SHOWN && h("p.hint", `and ${count(jobs.length - SHOWN, "more job")}`),
      refused.length > 0 && h("p.hint", `${count(refused.length, "job")} cannot be included: ${refused[0].message}`),
      h("p", h("b", known || unknown ? `Up to ${price(known, unknown)} will be charged.` : "Nothing more will be charged.")),
      unknown > 0 && h("p.hint", "An unknown length is found by the upload, which costs nothing; the service's figure then decides."),
    ];
    const choice = await ask(titleOf(verb, jobs.length), body, ["", "Not now"], ["yes", known ? `${label} for ${minutes(known)}` : label, "primary"]);
    return choice !== "" && send(verb, jobs);
  },

  report(verb, { results, daemon_running: isRunning }) {
    const refused = results.filter((result) => !result.accepted);
    const accepted = results.length - refused.length;
    if (accepted) say(`${titleOf(verb, accepted)}: requested.`, isRunning ? null : "lalald is not running; it acts when it starts.");
    const again = refused.flatMap((result) => result.quote ?? []);
    if (again.length && verb !== "cancel") return propose(verb, again, [], refused[0].message);
    if (refused.length) sayError(refused[0], refused.length - 1);
    return accepted > 0;
  },
};

/** Without an answer it is sent again with the same key, so it acts once. @type {Send} */
const send = async (verb, jobs, key = onceKey(), attempt = 1) => {
  try {
    return await report(verb, await post(`api/${verb}`, { key, jobs }));
  } catch (error) {
    if (/** @type {ApiError} */ (error).status !== 0 || attempt === 3) throw error;
    await new Promise((resolve) => setTimeout(resolve, attempt * 1000));
    return send(verb, jobs, key, attempt + 1);
  }
};
