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

/** @type {Card} */
const card = (key, tone, title, note, body, ...buttons) => h(`li.card.${tone}`, { key }, h("div", h("h3", title, h("small", note)), ...body), h("p.bar", ...buttons));

/** @type {Needs} */
export const { needsYou, expiry, attentionCard, acceptFolder, holdCard, failureCard } = {
  needsYou({ needs_attention: attention, holds, jobs: { failed: all } }, failed) {
    const others = attention.filter(({ code }) => code !== "jobs_failed" && !code.startsWith("hold_"));
    const causes = [...new Set(failed.map(({ cause }) => cause))].map((cause) => failed.filter((job) => job.cause === cause));
    const cards = [...others.map(attentionCard), ...holds.map(holdCard), ...causes.map(failureCard)];
    const retry = all > 1 && button(`Retry all ${all} failed …`, () => act("retry", { state: "failed" }), "small");
    return cards.length > 0 && section("needs", "Needs you", retry, h("ul", cards));
  },
  attentionCard({ code, subject, message, hint }) {
    const accept = code.endsWith("_unavailable") && subject && button("Accept this folder …", () => acceptFolder(subject));
    return card(`${code} ${subject}`, "bad", prose(message), "", [h("p.hint", prose(hint))], accept);
  },
  async acceptFolder(folder) {
    const warning = "Do this only if the folder is new and right as it is, and no disk or share is missing. lalald then puts its marker into it and works there again.";
    const body = [h("p", h("code", visible(folder))), h("p", warning)];
    if (await ask("Accept this folder?", body, ["", "Not now"], ["yes", "Accept the folder", "primary"])) await post("api/folders/accept", { folder }).then(() => say("lalald checks the folder again."), sayError);
  },

  holdCard({ hold, jobs, since, reason, to_do: toDo, job_id: id, minutes: known, unknown }) {
    const verb = RELEASES[hold];
    return card(
      `hold ${hold} ${id}`,
      "held",
      `${count(jobs, "file")} held: ${labels.holds[hold] ?? hold}`,
      dots((known || unknown) && price(known, unknown), since && `since ${moment(since)}`),
      [h("p", sentence(reason, verb)), h("p.hint", prose(toDo, verb))],
      verb && button(`${verb} …`, () => act("release", jobs === 1 ? { ids: [id] } : { hold })),
      jobs === 1 ? jobLink(id, "Details") : link(`history?state=held&hold=${hold}`, "Show them"),
    );
  },

  failureCard(jobs) {
    const charged = jobs.reduce((sum, job) => sum + job.minutes, 0);
    const rest = jobs.length - FILES_SHOWN;
    const files = jobs.slice(0, FILES_SHOWN).map((job, at) => [at > 0 && ", ", jobLink(job.id, fileName(job.path))]);
    return card(
      `failure ${jobs[0].id}`,
      "bad",
      `${count(jobs.length, "file")} failed`,
      dots(charged ? `${minutes(charged)} charged` : "nothing was charged", `last ${moment(jobs[0].updated_at)}`),
      [h("p", sentence(jobs[0].error)), h("p", files, rest > 0 && ` and ${count(rest, "other")}`), expiry(jobs)],
      button(jobs.length === 1 ? "Retry …" : `Retry all ${jobs.length} …`, () => act("retry", { ids: jobs.map(({ id }) => id) })),
    );
  },
  expiry(jobs) {
    const [at] = jobs.flatMap((job) => job.results_expire_at ?? []).sort();
    return at && h("p.bad", h("b", `Paid results are lost ${until(at)} (${moment(at)}).`));
  },
};
