// What needs a person: holds and failures by cause, each with its remedy and the button for it.

import { h } from "../dom.js";
import { act } from "../acts.js";
import { post } from "../api.js";
import { openDialog } from "../dialogs.js";
import { count, minutes, moment, price, until, visible } from "../format.js";
import { say, sayError } from "../messages.js";
import { fileName, prose, section, sentence } from "../parts.js";
import { HOLDS, RELEASES } from "../words.js";

const FILES_SHOWN = 3;

/** @param {Status} status @param {Job[]} failed  the newest of them */
export function needsYou(status, failed) {
  const others = status.needs_attention.filter(({ code }) => code !== "jobs_failed" && !code.startsWith("hold_"));
  const cards = [...others.map(attentionCard), ...status.holds.map(holdCard), ...causes(failed).map(failureCard)];
  const total = status.jobs.failed;
  if (!cards.length) return null;
  return section(
    "Needs you",
    { key: "needs", class: "needs", beside: total > 1 && h("button", { type: "button", class: "small", on: { click: () => act("retry", { state: "failed" }) } }, `Retry all ${total} failed …`) },
    h("ul", { class: "cards" }, cards),
  );
}

/** @param {Attention} item */
function attentionCard(item) {
  const isFolder = item.code.endsWith("_unavailable") && item.subject;
  return h(
    "li",
    { key: `${item.code} ${item.subject}`, class: "card is-bad" },
    h("div", null, h("h3", null, prose(item.message)), h("p", { class: "hint" }, prose(item.hint))),
    isFolder && h("div", { class: "card-actions" }, h("button", { type: "button", on: { click: () => void acceptFolder(item.subject) } }, "Accept this folder …")),
  );
}

/** @param {string} folder */
async function acceptFolder(folder) {
  const choice = await openDialog({
    title: "Accept this folder?",
    body: [
      h("p", null, h("code", null, visible(folder))),
      h("p", null, "Do this only if the folder is new and right as it is, and no disk or share is missing. lalald then puts its marker into it and works there again."),
    ],
    actions: [["no", "Not now"], ["yes", "Accept the folder", "primary"]],
  });
  if (choice !== "yes") return;
  try {
    await post("api/folders/accept", { folder });
    say("lalald looks at the folder again.");
  } catch (error) {
    sayError(error);
  }
}

/** @param {Hold} hold */
function holdCard(hold) {
  const cost = hold.minutes || hold.unknown ? price(hold.minutes, hold.unknown) : "";
  const verb = RELEASES[hold.hold];
  return h(
    "li",
    { key: `hold ${hold.hold} ${hold.job_id}`, class: "card is-held" },
    h(
      "div",
      null,
      h("h3", null, `${count(hold.jobs, "file")}: ${HOLDS[hold.hold] ?? hold.hold}`, h("span", { class: "facts" }, [cost, hold.since && `since ${moment(hold.since)}`].filter(Boolean).join(" · "))),
      hold.reason && h("p", null, sentence(hold.reason)),
      h("p", { class: "hint" }, prose(hold.to_do)),
    ),
    h(
      "div",
      { class: "card-actions" },
      verb && h("button", { type: "button", on: { click: () => act("release", hold.jobs === 1 ? { ids: [hold.job_id] } : { hold: hold.hold }) } }, `${verb} …`),
      h("a", { class: "more", href: hold.jobs === 1 ? `#/jobs/${hold.job_id}` : `#/history?state=held&hold=${hold.hold}` }, hold.jobs === 1 ? "Details" : "Show them"),
    ),
  );
}

/** Failed jobs that say the same, the newest first. @param {Job[]} failed */
function causes(failed) {
  /** @type {Map<string, Job[]>} */
  const found = new Map();
  for (const job of failed) {
    const cause = job.error ?? "No reason was given.";
    found.set(cause, [...(found.get(cause) ?? []), job]);
  }
  return [...found];
}

/** @param {[string, Job[]]} cause */
function failureCard([error, jobs]) {
  const expire = jobs.flatMap((job) => job.results_expire_at ?? []).sort()[0];
  const charged = jobs.reduce((sum, job) => sum + job.minutes, 0);
  const rest = jobs.length - FILES_SHOWN;
  return h(
    "li",
    { key: `failure ${jobs[0].id}`, class: "card is-failed" },
    h(
      "div",
      null,
      h("h3", null, `${count(jobs.length, "file")} failed`, h("span", { class: "facts" }, `${charged ? `${minutes(charged)} charged` : "nothing was charged"} · last ${moment(jobs[0].updated_at)}`)),
      h("p", null, sentence(error)),
      h("p", { class: "files" }, jobs.slice(0, FILES_SHOWN).map((job, index) => [index > 0 && ", ", h("a", { href: `#/jobs/${job.id}` }, fileName(job.path))]), rest > 0 && ` and ${count(rest, "other")}`),
      expire && h("p", { class: "expires" }, `Paid results are lost ${until(expire)} (${moment(expire)}).`),
    ),
    h("div", { class: "card-actions" }, h("button", { type: "button", on: { click: () => act("retry", { ids: jobs.map((job) => job.id) }) } }, jobs.length === 1 ? "Retry …" : `Retry all ${jobs.length} …`)),
  );
}
