// What stays around every view: the name, the ways to the views, the connection, the messages.

import { post } from "./api.js";
import { openDialog } from "./dialogs.js";
import { h, show } from "./dom.js";
import { moment, span } from "./format.js";
import { icon } from "./icons.js";
import { messages } from "./messages.js";

/** @typedef {import("./live.js").Live} Live */

const WAYS = [
  ["now", "Now"],
  ["add", "Add files"],
  ["history", "History"],
  ["inboxes", "Inboxes"],
  ["log", "Log"],
];

/** @param {Live} live */
export function buildShell(live) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const banner = h("div", { class: "banner", role: "status" });
  const nav = h("nav", { class: "ways", "aria-label": "Views" });
  const account = h("div", { class: "account" });
  const skip = h("button", { class: "skip", type: "button", on: { click: () => main.focus() } }, "Skip to the content");
  const top = h("header", { class: "top" }, h("a", { class: "brand", href: "#/now" }, wordmark(), "lalald"), nav, account);
  document.body.append(skip, top, banner, main, messages());
  document.body.classList.add("is-out");

  let selected = "now";
  const drawWays = () => show(nav, WAYS.map(([name, label]) => way(name, label, name === selected, live)));
  const drawBanner = () => show(banner, live.connection === "lost" ? lost(live) : null);
  live.addEventListener("connection", drawBanner);
  live.addEventListener("status", drawWays);
  setInterval(() => live.connection === "lost" && drawBanner(), 1000);

  return {
    main,
    /** @param {string} name */
    select(name) {
      selected = name === "jobs" ? "history" : name;
      drawWays();
    },
    /** @param {Session} session */
    enter(session) {
      document.body.classList.remove("is-out");
      show(account, session.auth === "password" && h("button", { class: "plain", type: "button", on: { click: () => void logOut() } }, "Log out"));
    },
    leave() {
      document.body.classList.add("is-out");
      show(banner);
    },
    /** @param {string} message @param {() => void} again */
    cannotStart(message, again) {
      show(main, h("div", { class: "empty" }, h("h1", null, "lalald cannot be reached"), h("p", null, message), h("button", { type: "button", on: { click: again } }, "Try again")));
    },
  };
}

function wordmark() {
  return h("img", { class: "mark", src: "static/icon.svg", alt: "", width: "24", height: "24" });
}

/** @param {string} name @param {string} label @param {boolean} isHere @param {Live} live */
function way(name, label, isHere, live) {
  const needs = name === "now" ? (live.status?.needs_attention.length ?? 0) : 0;
  return h(
    "a",
    { key: name, href: `#/${name}`, "aria-current": isHere ? "page" : null },
    icon(name),
    h("span", { class: "way-label" }, label),
    needs > 0 && h("span", { class: "badge" }, needs, h("span", { class: "unseen" }, " need you")),
  );
}

/** @param {Live} live */
function lost(live) {
  const seconds = Math.max(0, Math.ceil((live.retryAt - Date.now()) / 1000));
  const since = live.status ? `What you see is from ${moment(new Date(live.lostAt).toISOString())}. ` : "";
  return h(
    "p",
    null,
    icon("warning"),
    h("span", null, h("strong", null, "lalald cannot be reached. "), since, h("span", { "aria-live": "off" }, seconds ? `Trying again in ${span(seconds)}.` : "Trying again …")),
    h("button", { type: "button", class: "small", on: { click: () => live.retry() } }, "Try now"),
  );
}

async function logOut() {
  const choice = await openDialog({
    title: "Log out",
    body: [h("p", null, "Uploads that this browser is sending stop, and resume after the next login.")],
    actions: [["cancel", "Stay"], ["everywhere", "Log out everywhere"], ["here", "Log out", "primary"]],
  });
  if (!choice || choice === "cancel") return;
  await post("api/logout", choice === "everywhere" ? { everywhere: true } : {}).catch(() => {});
  location.reload();
}
