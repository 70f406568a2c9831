import { act } from "../actions.js";
import { post } from "../api.js";
import { h } from "../dom.js";
import { dots, moment, until, visible } from "../format.js";
import { ask, button, fileName, jobLink, link, prose, say, sayError, section, sentence } from "../ui.js";

/** @type {Needs} */
export const { needsYou, expiry, card, acceptFolder } = {
	needsYou(cards, failed) {
		const retry = cards.filter(({ files }) => files)[1] && button(`Retry all ${failed} failed …`, () => act("retry", { state: "failed" }), "small");
		return cards.length > 0 && section("needs", "Needs you", retry, h("ul", cards.map(card)));
	},
	card: ({ key, tone, title, note, at, text, hint, files, others, expires_at: expires, folder, verb, label, which, view }) =>
		h(
			`li.card.${tone}`,
			{ key },
			h(
				"div",
				h("h3", h("span", prose(title)), h("small", dots(note, at && `since ${moment(at)}`))),
				h("p", sentence(text, label)),
				h("p.hint", prose(hint, label)),
				files && h("p", files.map(({ id, path }, index) => [index > 0 && ", ", jobLink(id, fileName(path))]), others > 0 && ` and ${others} more`),
				expiry(expires),
			),
			h("p.bar", folder && button("Accept this folder …", () => acceptFolder(folder)), verb && button(`${label} …`, () => act(verb, which)), view && link(view, "Details")),
		),
	async acceptFolder(folder) {
		const warning = "Do this only if the folder is right as it is, and no disk or share is missing. lalald then puts its marker into it.";
		const body = [h("p", h("code", visible(folder))), h("p", warning)];
		if (await ask("Accept this folder?", body, ["", "Not now"], ["yes", "Accept the folder", "primary"])) await post("api/folders/accept", { folder }).then(() => say("lalald checks the folder again."), sayError);
	},
	expiry: (at) => at && h("p.bad", h("b", `Paid results are lost ${until(at)} (${moment(at)}).`)),
};
