// Uploads in pieces, in the shape of tus 1.0. They resume after a lost connection, a reload or another login.

import { get, post, request } from "./api.js";

const [LEAST_PIECE, LARGEST_PIECE] = [256_000, 8_000_000];
const PIECE_SECONDS = 1; // progress is seen after each piece
const LONGEST_PAUSE_MS = 30_000;
const AT_ONCE = 2;
const CAN_STILL_SUCCEED = [0, 408, 423, 425, 429, 500, 502, 503, 504];

/** @type {Uploads} */
export const { fingerprint, forget, queueOf, uploadOf } = {
	fingerprint: (file) => `${file.size} ${file.lastModified} ${file.name}`.slice(0, 200),
	forget: (id) => post(`api/uploads/${encodeURIComponent(id)}`, undefined, "DELETE").catch(() => {}),

	queueOf(changed) {
		const next = () => {
			const of = (/** @type {string[]} */ ...states) => queue.uploads.filter(({ state }) => states.includes(state));
			for (const upload of of("waiting").slice(0, AT_ONCE - of("sending", "lost").length)) void upload.run().then(next);
			changed();
		};
		addEventListener("beforeunload", (event) => queue.uploads.some((upload) => upload.isActive) && event.preventDefault());
		/** @type {Queue} */
		const queue = {
			uploads: [],
			add(file, inbox, path, remote) {
				queue.uploads.push(uploadOf(file, inbox, path, remote, changed));
				next();
			},
			resume(upload) {
				upload.state = "waiting";
				next();
			},
			async remove(upload) {
				queue.uploads = queue.uploads.filter((other) => other !== upload);
				if (upload.state !== "done") await upload.cancel();
				next();
			},
		};
		return queue;
	},

	uploadOf(file, inbox, path, remote, changed) {
		let [id, piece, setbacks, wasLast, abort] = [remote?.id ?? "", 1_000_000, 0, false, new AbortController()];
		/** @type {Upload} */
		const upload = {
			file, inbox, path, state: "waiting", sent: remote?.offset ?? 0, rate: 0, error: null,
			get isActive() {
				return ["waiting", "sending", "lost"].includes(upload.state);
			},
			async run() {
				abort = new AbortController();
				const { signal } = abort;
				become("sending");
				if (id) await ask();
				while (upload.isActive && !signal.aborted) await send(signal).catch((error) => setback(error, signal));
			},
			pause() {
				if (!upload.isActive) return;
				abort.abort();
				become("paused");
			},
			async cancel() {
				upload.pause();
				if (id) await forget(id);
			},
		};

		/** @type {Sending} */
		const { become, send, setback, ask, whenGone } = {
			become(state, error = null) {
				Object.assign(upload, { state, error, rate: state === "sending" ? upload.rate : 0 });
				changed();
			},
			async send(signal) {
				if (!id) ({ id, offset: upload.sent } = await post("api/uploads", { inbox, path, size: file.size, fingerprint: fingerprint(file) }));
				const body = file.slice(upload.sent, upload.sent + piece);
				wasLast = upload.sent + body.size === file.size;
				const headers = { "X-Lalald": "1", "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(upload.sent) };
				const began = performance.now();
				const answer = await request(`api/uploads/${id}`, { method: "PATCH", headers, body, signal });
				const rate = body.size / Math.max(0.001, (performance.now() - began) / 1000);
				upload.sent = Number(answer.headers.get("Upload-Offset"));
				upload.rate = upload.rate ? upload.rate * 0.6 + rate * 0.4 : rate;
				piece = Math.round(Math.min(LARGEST_PIECE, Math.max(LEAST_PIECE, upload.rate * PIECE_SECONDS)));
				setbacks = 0;
				if (!signal.aborted) become(upload.sent < file.size ? "sending" : "done");
			},
			async setback(error, signal) {
				if (signal.aborted) return;
				const isOver = !CAN_STILL_SUCCEED.includes(error.status) && error.code !== "offset_mismatch";
				become(error.status === 401 ? "paused" : isOver ? "failed" : "lost", error);
				if (upload.state !== "lost") return;
				await new Promise((resolve) => {
					setTimeout(resolve, Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** setbacks++) * (0.5 + Math.random() / 2));
					signal.addEventListener("abort", resolve);
					addEventListener("online", resolve, { once: true });
				});
				if (id && !signal.aborted) await ask();
			},
			// where that fails the next piece meets the same
			ask: () =>
				request(`api/uploads/${id}`, { method: "HEAD" })
					.then((answer) => (upload.sent = Number(answer.headers.get("Upload-Offset"))), async (error) => void (error.status === 404 && (await whenGone())))
					.catch(() => {}),
			// it is complete and only the answer was lost, or it starts over
			async whenGone() {
				const found = wasLast && (await get("api/explain", { inbox, path, size: file.size }));
				if (!found || (!found.exists && found.known_job === null)) return void ([id, upload.sent] = ["", 0]);
				upload.sent = file.size;
				become("done");
			},
		};
		return upload;
	},
};
