// What a view has requested: an answer, or a list that grows at both ends.

import { get } from "./api.js";
import { button, failure, loading } from "./ui.js";

/** @type {AnswersOf} */
export const answers = (redraw, signal) => ({
	answer(path, params) {
		/** @type {Shown<any>} */
		const found = {
			value: null,
			error: null,
			load: () => get(path, params, signal).then((value) => Object.assign(found, { value, error: null }), (error) => Object.assign(found, { error })).finally(redraw),
			shown: (content) => (found.value ? content(found.value) : found.error ? failure(found.error, found.load) : loading()),
		};
		void found.load();
		return found;
	},

	list(path, name, filter, page, most) {
		/** @type {any} */
		let error = null;
		/** @type {number | null} */
		let next = null;
		let [search, typing] = [0, 0];
		const ask = (/** @type {Record<string, any>} */ more) => /** @type {Promise<any>} */ (get(path, { ...filter, ...more }, signal));
		const load = async (isMore = false) => {
			const mine = ++search;
			const limit = isMore ? page : Math.min(most, Math.max(page, list.items?.length ?? 0));
			const found = await ask({ limit, before: isMore ? next : null }).catch((error) => ({ error }));
			if (mine !== search) return;
			error = found.error;
			if (!error) [list.items, next] = [[...((isMore && list.items) || []), ...found[name]], found.next_before];
			redraw();
		};
		/** @type {List<any>} */
		const list = {
			items: null,
			search() {
				clearTimeout(typing);
				typing = setTimeout(load, 200);
			},
			// what is older than the newest `most` does not change
			refresh: gathered(async () => {
				if (!list.items || error) return load();
				const mine = search;
				const found = await ask({ limit: most }).catch(() => null);
				if (!found || mine !== search) return;
				const oldest = found.next_before === null ? 0 : found[name].at(-1).id;
				const last = next === null ? 0 : (list.items.at(-1)?.id ?? 0);
				list.items = [...found[name].filter((/** @type {any} */ { id }) => id >= last), ...list.items.filter(({ id }) => id < oldest)];
				redraw();
			}, signal, 1000),
			shown: (content) => [
				error ? failure(error, load) : list.items ? content(list.items) : loading(),
				next !== null && !error && button("Show older ones", () => load(true), "wide"),
			],
		};
		void load();
		return list;
	},
});

/** Calls that come close together become one, and one at a time. @type {Gathered} */
export const gathered = (work, signal, milliseconds = 400) => {
	let [isDue, isBusy] = [false, false];
	const later = () => setTimeout(run, milliseconds);
	const run = async () => {
		if (signal.aborted) return;
		[isDue, isBusy] = [false, true];
		await work();
		isBusy = false;
		if (isDue) later();
	};
	return () => {
		if (!isDue && !isBusy) later();
		isDue = true;
	};
};
