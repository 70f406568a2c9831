// Requests to lalald's page. Every address is relative, so the page works below any path of a proxy.

/** What a request met: `status` is 0 where no answer came. */
export class ApiError extends Error {
	/** @param {string} message @param {string | null} [hint] */
	constructor(message, hint = null, status = 0, code = "") {
		super(message);
		this.hint = hint;
		this.status = status;
		this.code = code;
	}
}

/** "needed": a session is missing or over. */
export const login = new EventTarget();
export const needLogin = () => login.dispatchEvent(new Event("needed"));

/** @type {Get} */
export const get = async (path, params = {}, signal) => {
	const kept = Object.entries(params).flatMap(([name, value]) => (value === null || value === undefined || value === "" ? [] : [[name, String(value)]]));
	return (await request(kept.length ? `${path}?${new URLSearchParams(kept)}` : path, { signal })).json();
};

/** @type {Post} */
export const post = async (path, body, method = "POST") => {
	const headers = { "X-Lalald": "1", ...(body && { "Content-Type": "application/json" }) };
	const text = await (await request(path, { method, headers, body: body && JSON.stringify(body) })).text();
	return text && JSON.parse(text);
};

/** @type {Ask} */
export const request = async (path, options = {}) => {
	const answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options }).catch((error) => {
		if (options.signal?.aborted) throw error;
		throw new ApiError("lalald cannot be reached.", "Check that it is running and that you are on its network.");
	});
	if (answer.ok) return answer;
	if (answer.status === 401) needLogin();
	const text = await answer.text().catch(() => "");
	const { error, hint, code } = answer.headers.get("Content-Type")?.includes("json") ? JSON.parse(text || "{}") : /** @type {any} */ ({});
	throw new ApiError(error ?? (text.trim().slice(0, 300) || `lalald, or a proxy before it, answered ${answer.status}.`), hint, answer.status, code);
};

/** Makes one click act once, however often it is sent. */
export const onceKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
