// What needs a person: holds and failures by cause, each with its remedy and the button for it.

import { act } from "../actions.js";
import { post } from "../api.js";
import { h } from "../dom.js";
import { count, dots, labels, minutes, moment, price, until, visible } from "../format.js";
import { ask, button, fileName, jobLink, link, prose, say, sayError, section, sentence } from "../ui.js";

const FILES_SHOWN = 3;

/** What the button of a hold says; a license key cannot be released. @type {Record<string, string>} */
export const RELEASES = {
  minutes: "Release", lost_task: "Pay again", first_scan: "Process", duplicate: "Process again",
  disk: "Try now", mount: "Try now", permission: "Try now", link: "Try now",
};

/** @param {Status} status @param {Job[]} failed  the newest of them */
export function needsYou(status, failed) {
  const others = status.needs_attention.filter(({ code }) => code !== "jobs_failed" && !code.startsWith("hold_"));
  const cards = [...others.map(attentionCard), ...status.holds.map(holdCard), ...causes(failed).map(failureCard)];
  const all = status.jobs.failed;
  const retry = all > 1 && button(`Retry all ${all} failed …`, () => act("retry", { state: "failed" }), "small");
  return cards.length > 0 && section("needs", "Needs you", retry, h("ul", cards));
}

/** @param {string} key @param {string} tone @param {Child} title @param {Child[]} body @param {Child[]} buttons */
const card = (key, tone, title, body, ...buttons) => h(`li.card.${tone}`, { key }, h("div", h("h3", title), ...body), h("p.bar", ...buttons));

/** @param {Attention} item */
function attentionCard({ code, subject, message, hint }) {
  const accept = code.endsWith("_unavailable") && subject && button("Accept this folder …", () => acceptFolder(subject));
  return card(`${code} ${subject}`, "bad", prose(message), [h("p.hint", prose(hint))], accept);
}

/** @param {string} folder */
async function acceptFolder(folder) {
  const body = [
    h("p", h("code", visible(folder))),
    h("p", "Do this only if the folder is new and right as it is, and no disk or share is missing. lalald then puts its marker into it and works there again."),
  ];
  if ((await ask("Accept this folder?", body, ["no", "Not now"], ["yes", "Accept the folder", "primary"])) !== "yes") return;
  await post("api/folders/accept", { folder }).then(() => say("lalald checks the folder again."), sayError);
}

/** @param {Hold} hold */
function holdCard({ hold, jobs, since, reason, to_do: toDo, job_id: id, minutes: known, unknown }) {
  const verb = RELEASES[hold];
  const release = verb && button(`${verb} …`, () => act("release", jobs === 1 ? { ids: [id] } : { hold }));
  return card(
    `hold ${hold} ${id}`,
    "held",
    [`${count(jobs, "file")} held: ${labels.holds[hold] ?? hold}`, h("small", dots((known || unknown) && price(known, unknown), since && `since ${moment(since)}`))],
    [h("p", sentence(reason, verb)), h("p.hint", prose(toDo, verb))],
    release,
    jobs === 1 ? jobLink(id, "Details") : link(`history?state=held&hold=${hold}`, "Show them"),
  );
}

/** The newest first. @param {Job[]} failed */
const causes = (failed) => [...new Set(failed.map(({ cause }) => cause))].map((cause) => failed.filter((job) => job.cause === cause));

/** @param {Job[]} jobs that failed by one cause */
function failureCard(jobs) {
  const charged = jobs.reduce((sum, job) => sum + job.minutes, 0);
  const rest = jobs.length - FILES_SHOWN;
  const files = jobs.slice(0, FILES_SHOWN).map((job, at) => [at > 0 && ", ", jobLink(job.id, fileName(job.path))]);
  return card(
    `failure ${jobs[0].id}`,
    "bad",
    [`${count(jobs.length, "file")} failed`, h("small", dots(charged ? `${minutes(charged)} charged` : "nothing was charged", `last ${moment(jobs[0].updated_at)}`))],
    [h("p", sentence(jobs[0].error)), h("p", files, rest > 0 && ` and ${count(rest, "other")}`), expiry(jobs)],
    button(jobs.length === 1 ? "Retry …" : `Retry all ${jobs.length} …`, () => act("retry", { ids: jobs.map(({ id }) => id) })),
  );
}

/** When the first paid results are lost. @param {Job[]} jobs */
export function expiry(jobs) {
  const [at] = jobs.flatMap((job) => job.results_expire_at ?? []).sort();
  return at && h("p.bad", h("b", `Paid results are lost ${until(at)} (${moment(at)}).`));
}
