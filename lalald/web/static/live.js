// lalald's state, kept current by one stream. It reconnects, polls where it may have no stream, and rests while the tab is hidden.

import { ApiError, get, login, needLogin, request } from "./api.js";

const SILENCE_MS = 45_000; // a comment comes every 20 s
const POLL_MS = 5000;
const LONGEST_PAUSE_MS = 30_000;

/** @type {Live} */
export const live = Object.assign(new EventTarget(), {
	status: null,
	job: null,
	isLost: false,
	lostAt: 0,
	retryAt: 0,
	start() {
		isOn = true;
		void connect();
	},
	stop() {
		isOn = false;
		rest();
	},
	watch(/** @type {number | null} */ job) {
		if (watched === job) return;
		[watched, live.job] = [job, null];
		void connect();
	},
	retry: () => live.isLost && connect(),
});

let [isOn, failures, timer] = [false, 0, 0];
/** @type {number | null} */
let watched = null;
/** @type {AbortController | null} */
let line = null;

/** @type {Connecting} */
const { rest, connect, follow, take, become, after, poll, dispatch } = {
	rest() {
		clearTimeout(timer);
		line?.abort();
		line = null;
	},
	async connect() {
		rest();
		if (!isOn || document.hidden) return;
		const mine = (line = new AbortController());
		await follow(mine).catch(async (error) => {
			if (mine === line) await after(error, mine);
		});
	},
	// by fetch: EventSource hides a 401 and does not wait
	async follow(mine) {
		const answer = await request(`api/events${watched === null ? "" : `?job=${watched}`}`, { headers: { Accept: "text/event-stream" }, signal: mine.signal });
		const reader = /** @type {ReadableStream} */ (answer.body).pipeThrough(new TextDecoderStream()).getReader();
		for (let text = ""; ; ) {
			const silence = setTimeout(() => mine.abort(), SILENCE_MS);
			const { done, value } = await reader.read().finally(() => clearTimeout(silence));
			if (done) throw new ApiError("The connection ended.");
			const frames = (text + value).split("\n\n");
			text = frames.pop() ?? "";
			if (mine === line) frames.forEach(take);
		}
	},
	// a comment has no data
	take(frame) {
		const [, name, json] = /^event: *(\w+)\ndata: *(.*)$/m.exec(frame) ?? [];
		const data = name && JSON.parse(json);
		if (name === "snapshot") return become(data.status, data.job);
		if (name === "end") return void (data.reason === "logout" && needLogin());
		if (name === "status") live.status = { ...live.status, ...data };
		if (name === "job") live.job = data;
		if (name) dispatch(name, data);
	},
	become(status, job) {
		failures = 0;
		Object.assign(live, { status, job, isLost: false });
		["connection", "status", "job", "changed"].forEach((name) => dispatch(name));
	},
	async after(error, mine) {
		if (error.status === 401) return;
		if (error.status === 429) return poll(mine);
		if (failures++ === 0) live.lostAt = Date.now();
		const pause = failures === 1 ? 500 : Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
		live.retryAt = Date.now() + pause;
		timer = setTimeout(connect, pause);
		live.isLost ||= failures > 1 || live.status === null;
		dispatch("connection");
	},
	// further tabs have no stream of their own
	async poll(mine) {
		try {
			const status = await get("api/status", {}, mine.signal);
			const job = watched === null ? null : await get(`api/jobs/${watched}`, {}, mine.signal).catch(() => null);
			if (mine !== line) return;
			become(status, job);
			timer = setTimeout(poll, POLL_MS, mine);
		} catch (error) {
			if (mine === line) await after(new ApiError(String(error)), mine);
		}
	},
	dispatch: (name, detail) => live.dispatchEvent(new CustomEvent(name, { detail })),
};

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : line || connect()));
addEventListener("online", live.retry);
login.addEventListener("needed", live.stop);
