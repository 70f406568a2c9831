// Logging in, by the password or by a link that `lalald web --link` printed.

import { post } from "./api.js";
import { h, show } from "./dom.js";
import { prose } from "./ui.js";

/** Shows the form until the login has succeeded. @param {HTMLElement} root @returns {Promise<Session>} */
export function login(root) {
  const link = location.hash.startsWith("#login=") ? location.hash.slice(7) : null;
  if (link !== null) history.replaceState(null, "", location.pathname + location.search);
  return new Promise((resolve) => {
    const send = async (/** @type {{password: string} | {link: string}} */ secret) => {
      draw("", true);
      await post("api/login", secret).then(resolve, (error) => draw(`${error.message} ${error.hint ?? ""}`));
    };
    const draw = (error = "", isBusy = false) => {
      const onsubmit = (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        if (!isBusy) void send({ password: /** @type {HTMLInputElement} */ (root.querySelector("#password")).value });
      };
      const facts = { id: "password", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "login-error", "aria-invalid": error && "true" };
      show(
        root,
        h(
          "form.login",
          { onsubmit },
          h("img", { src: "static/icon.svg", alt: "", width: "56", height: "56" }),
          h("h1", { tabindex: "-1" }, "lalald"),
          h("input", { name: "username", value: "lalald", autocomplete: "username", hidden: true, readonly: true }),
          h("label", { for: "password" }, "Password"),
          h("input", facts),
          h("p.bad", { id: "login-error", role: "alert" }, error && prose(error)),
          h("button.primary", { "aria-disabled": isBusy && "true" }, isBusy ? "Logging in …" : "Log in"),
          h("p.hint", prose("The password is in `web.password_file`. If you do not have it, `lalald web --link` prints a link that logs you in once.")),
        ),
      );
      /** @type {HTMLInputElement} */ (root.querySelector("#password")).select();
    };
    draw();
    if (link !== null) void send({ link: decodeURIComponent(link) });
  });
}
