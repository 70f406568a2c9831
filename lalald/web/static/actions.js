// Buttons that may spend: the price is shown first, and only what was shown is agreed to.

import { onceKey, post } from "./api.js";
import { h } from "./dom.js";
import { count, minutes } from "./format.js";
import { ask, fileName, say, sayError, sentence, VERBS } from "./ui.js";

const SHOWN = 5;

/** @type {Actions} */
export const { act, cancel, sayVerdict, propose, report } = {
	act: (verb, which, changed) => post("api/quotes", { action: verb, ...which }).then((question) => propose(verb, question, changed)).catch(sayError),

	async cancel(ids, what) {
		const body = h("p", "Running tasks are cancelled on the service too. Minutes that are charged stay charged; results that are not delivered yet are lost.");
		const choice = await ask(`Cancel ${what}?`, body, ["", "Keep"], ["yes", ids.length === 1 ? "Cancel the job" : `Cancel ${what}`, "danger"]);
		return choice !== "" && post("api/cancel", { ids }).then((answer) => report("cancel", answer), sayError);
	},

	sayVerdict(results) {
		const refused = results.filter((result) => !result.accepted);
		if (refused.length) sayError({ message: `Job ${refused[0].id}: ${refused[0].message}` }, refused.length - 1);
	},

	async propose(verb, { jobs, refused, title, label, notes }, changed) {
		if (!jobs.length) return sayError(refused[0] ?? { message: "There is nothing to do any more." });
		const row = (/** @type {Quote} */ { path, minutes: cost, what }) =>
			h("li.row.quote", fileName(path), h("span.figure", cost === 0 ? "paid" : minutes(cost)), h("small", sentence(what), "."));
		const body = [
			changed && h("p.notice", changed),
			h("ul.rows", jobs.slice(0, SHOWN).map(row)),
			jobs.length > SHOWN && h("p.hint", `and ${count(jobs.length - SHOWN, "more job")}`),
			notes.map((note, at) => h(at ? "p.hint" : "p", at ? note : h("b", note))),
		];
		return (await ask(title, body, ["", "Not now"], ["yes", label, "primary"])) !== "" && send(verb, jobs);
	},

	report(verb, { results, daemon_running: isRunning }) {
		const refused = results.filter((result) => !result.accepted);
		const accepted = results.length - refused.length;
		if (accepted) say(`${VERBS[verb]}: ${count(accepted, "job")} requested.`, isRunning ? null : "lalald acts when it is started.");
		const again = refused.filter(({ quote }) => quote);
		if (again.length && verb !== "cancel") return act(verb, { ids: again.map(({ id }) => id) }, again[0].message);
		if (refused.length) sayError(refused[0], refused.length - 1);
		return accepted > 0;
	},
};

/** Without an answer it is sent again with the same key, so it acts once. @type {Send} */
const send = async (verb, jobs, key = onceKey(), attempt = 1) => {
	try {
		return await report(verb, await post(`api/${verb}`, { key, jobs }));
	} catch (error) {
		if (/** @type {any} */ (error).status !== 0 || attempt === 3) throw error;
		await new Promise((resolve) => setTimeout(resolve, attempt * 1000));
		return send(verb, jobs, key, attempt + 1);
	}
};
