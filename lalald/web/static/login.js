// Logging in, by the password or by a link that `lalald web --link` printed.

import { ApiError, post } from "./api.js";
import { h, show } from "./dom.js";

/** Shows the form until the login has succeeded. @param {HTMLElement} root @returns {Promise<Session>} */
export function login(root) {
  return new Promise((resolve) => {
    const link = location.hash.startsWith("#login=") ? location.hash.slice(7) : null;
    if (link !== null) history.replaceState(null, "", location.pathname + location.search);
    let error = "";
    let isBusy = false;

    /** @param {any} body */
    const send = async (body) => {
      [isBusy, error] = [true, ""];
      draw();
      try {
        const session = await post("api/login", body);
        history.replaceState(null, "", location.pathname + location.search + location.hash);
        return resolve(session);
      } catch (refused) {
        error = describe(/** @type {ApiError} */ (refused));
      }
      isBusy = false;
      draw();
      /** @type {HTMLInputElement} */ (root.querySelector("#password")).select();
    };

    const draw = () => show(root, form(error, isBusy, (password) => void send({ password })));
    draw();
    if (link !== null) void send({ link: decodeURIComponent(link) });
    else /** @type {HTMLElement} */ (root.querySelector("#password")).focus();
  });
}

/** @param {ApiError} error */
function describe(error) {
  return [error.message, error.hint].filter(Boolean).join(" ");
}

/** @param {string} error @param {boolean} isBusy @param {(password: string) => void} send */
function form(error, isBusy, send) {
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const field = /** @type {HTMLFormElement} */ (event.target).querySelector("input[type=password]");
    if (!isBusy) send(/** @type {HTMLInputElement} */ (field).value);
  };
  return h(
    "form",
    { class: "login", on: { submit } },
    h("img", { src: "static/icon.svg", alt: "", width: "56", height: "56" }),
    h("h1", { tabindex: "-1" }, "lalald"),
    h("input", { type: "text", name: "username", value: "lalald", autocomplete: "username", hidden: true, readonly: true }),
    h("label", { for: "password" }, "Password"),
    h("input", { id: "password", type: "password", name: "password", autocomplete: "current-password", required: true, "aria-describedby": "login-error", "aria-invalid": error ? "true" : null }),
    h("p", { id: "login-error", class: "bad", role: "alert" }, error),
    h("button", { class: "primary", type: "submit", "aria-disabled": isBusy ? "true" : null }, isBusy ? "Logging in …" : "Log in"),
    h("p", { class: "hint" }, "The password is in ", h("code", null, "web.password_file"), ". Without it at hand, ", h("code", null, "lalald web --link"), " prints a link that logs you in once."),
  );
}
