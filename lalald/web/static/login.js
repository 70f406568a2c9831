import { post } from "./api.js";
import { h, show } from "./dom.js";
import { prose } from "./ui.js";

/** @type {Login} */
export const login = (root) =>
	new Promise((resolve) => {
		const send = (/** @type {{password: string} | {link: string}} */ secret) => {
			draw("", true);
			post("api/login", secret).then(resolve, (error) => draw(`${error.message} ${error.hint ?? ""}`));
		};
		const draw = (error = "", isBusy = false) => {
			/** @returns {HTMLInputElement | null} */
			const field = () => root.querySelector("#password");
			const onsubmit = (/** @type {Event} */ event) => {
				event.preventDefault();
				if (!isBusy) send({ password: field()?.value ?? "" });
			};
			show(
				root,
				h(
					"form.login",
					{ onsubmit },
					h("img", { src: "static/icon.svg", alt: "", width: "56", height: "56" }),
					h("h1", { tabindex: "-1" }, "lalald"),
					h("input", { name: "username", value: "lalald", autocomplete: "username", hidden: true, readonly: true }),
					h("label", { for: "password" }, "Password"),
					h("input", { id: "password", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "login-error", "aria-invalid": error && "true" }),
					h("p.bad", { id: "login-error", role: "alert" }, prose(error)),
					h("button.primary", { "aria-disabled": isBusy && "true" }, isBusy ? "Logging in …" : "Log in"),
					h("p.hint", prose("The password is in `web.password_file`. `lalald web --link` prints a link that logs you in once.")),
				),
			);
			field()?.select();
		};
		const link = /^#login=(.*)/.exec(location.hash)?.[1];
		if (link) history.replaceState(null, "", location.pathname + location.search);
		draw();
		if (link) send({ link: decodeURIComponent(link) });
	});
