// The page: who is logged in, which view is shown, and what stays around it.

import { sayVerdict } from "./actions.js";
import { answers } from "./answers.js";
import { get, login as session, post } from "./api.js";
import { h, show } from "./dom.js";
import { dropped } from "./files.js";
import { labels, moment, span } from "./format.js";
import { live } from "./live.js";
import { login } from "./login.js";
import { ask, button, failure, icon, messages } from "./ui.js";

/** By their modules. @type {Record<string, string>} */
const VIEWS = { now: "Now", add: "Add files", history: "History", inboxes: "Inboxes", log: "Log", jobs: "" };

const main = h("main", { id: "main", tabindex: "-1" });
const banner = h("div.banner", { role: "status" });
const nav = h("nav", { "aria-label": "Views" });
const account = h("span");
const brand = h("a.brand", { href: "#/now" }, h("img", { src: "static/icon.svg", alt: "", width: "24", height: "24" }), "lalald");
document.body.append(button("Skip to the content", () => main.focus(), "skip"), h("header.top", brand, nav, account), banner, main, messages);

/** @type {Session | null} */
let known = null;
let ending = new AbortController();
let selected = "now";

const openView = async () => {
	if (!known) return;
	ending.abort();
	ending = new AbortController();
	const { signal } = ending;
	const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
	const [name, ...parts] = path.split("/");
	selected = name in VIEWS ? name : "now";
	drawWays();
	live.watch(selected === "jobs" ? Number(parts[0]) || null : null);
	/** @type {{view: View} | null} */
	const module = await import(`./views/${selected}.js`).catch(() => null);
	if (signal.aborted) return;
	const root = h(`div.view.${selected}`);
	main.replaceChildren(root);
	scrollTo(0, 0);
	if (!module) return show(root, failure(new Error("This view could not be read from lalald."), () => location.reload()));
	let content = () => /** @type {Child} */ (null);
	const redraw = () => {
		if (signal.aborted) return;
		show(root, content());
		document.title = `${root.querySelector("h1")?.textContent} · lalald`;
	};
	content = module.view({ live, parts, query: new URLSearchParams(query), signal, session: known, redraw, ...answers(redraw, signal) });
	redraw();
};

const drawWays = () => {
	const needs = live.status?.needs_attention.length ?? 0;
	const here = selected === "jobs" ? "history" : selected;
	const way = (/** @type {string} */ name, /** @type {string} */ title) =>
		h("a", { key: name, href: `#/${name}`, "aria-current": name === here && "page" }, icon(name), title, name === "now" && needs > 0 && h("span.badge", needs, h("span.unseen", " need you")));
	show(nav, Object.entries(VIEWS).map(([name, title]) => title && way(name, title)));
};

const drawBanner = () => {
	if (!live.isLost || !known) return show(banner);
	const seconds = Math.max(0, Math.ceil((live.retryAt - Date.now()) / 1000));
	const since = live.status && `What you see is from ${moment(live.lostAt)}. `;
	const again = h("span", { "aria-live": "off" }, seconds ? `Trying again in ${span(seconds)}.` : "Trying again …");
	show(banner, h("p.bar", icon("warning"), h("span", h("b", "lalald cannot be reached. "), since, again), button("Try now", () => live.retry(), "small")));
};

/** @type {Enter} */
const enter = (found) => {
	known = found;
	Object.assign(labels, found.labels);
	document.body.className = "";
	show(account, found.auth === "password" && button("Log out", logOut, "plain"));
	live.start();
	void openView();
};

const leave = () => {
	known = null;
	live.stop();
	ending.abort();
	document.body.className = "is-out";
	document.title = "Log in · lalald";
	drawBanner();
	void login(main).then(enter);
};

const logOut = async () => {
	const body = h("p", "Uploads that this browser is sending stop, and resume after the next login.");
	const choice = await ask("Log out", body, ["", "Stay"], ["everywhere", "Log out everywhere"], ["here", "Log out", "primary"]);
	if (!choice) return;
	await post("api/logout", { everywhere: choice === "everywhere" }).catch(() => {});
	location.reload();
};

const begin = async () => {
	document.body.className = "is-out";
	if (location.hash.startsWith("#login=")) return leave();
	await get("api/session").then(enter, (error) => (error.status === 401 ? leave() : show(main, h("h1", "lalald"), failure(error, begin))));
};

live.addEventListener("connection", drawBanner);
live.addEventListener("status", drawWays);
live.addEventListener("action", (event) => sayVerdict(/** @type {CustomEvent} */ (event).detail.results));
setInterval(() => live.isLost && drawBanner(), 1000);
session.addEventListener("needed", () => known && leave());

addEventListener("hashchange", async () => {
	if (location.hash.startsWith("#login=")) return leave();
	await openView();
	main.querySelector("h1")?.focus({ preventScroll: true }); // where a screen reader starts
});

// Files may be dropped into any view.
const isDragging = (/** @type {boolean} */ isOver) => document.body.classList.toggle("is-dragging", isOver);
addEventListener("dragover", (event) => (event.preventDefault(), isDragging(true)));
addEventListener("dragleave", (event) => event.relatedTarget || isDragging(false));
addEventListener("drop", async (event) => {
	isDragging(false);
	event.preventDefault();
	if (!known || !event.dataTransfer?.types.includes("Files")) return;
	const picked = dropped(event.dataTransfer);
	location.hash = "#/add";
	(await import("./views/add.js")).take(await picked);
});

void begin();
