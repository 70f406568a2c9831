// Requests to lalald's page. Every address is relative, so the page works below any path of a proxy.

/** What a request met: `status` is 0 where no answer came. */
export class ApiError extends Error {
  /** @param {string} message @param {{status?: number, hint?: string | null, facts?: any}} [more] */
  constructor(message, { status = 0, hint = null, facts = null } = {}) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.facts = facts;
  }
}

/** Told when a session is missing or over. */
export const loginNeeded = new EventTarget();

/**
 * @param {string} path
 * @param {Record<string, any>} [params]  empty ones are left out
 * @param {AbortSignal} [signal]
 */
export async function get(path, params = {}, signal) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [name, String(value)]));
  const answer = await request(query.size ? `${path}?${query}` : path, { signal });
  return answer.json();
}

/** @param {string} path @param {any} [body] @param {string} [method] */
export async function post(path, body, method = "POST") {
  const answer = await request(path, {
    method,
    headers: { "X-Lalald": "1", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/**
 * A request that was answered well; anything else is an ApiError.
 * @param {string} path @param {RequestInit} [options]
 */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new ApiError("lalald cannot be reached.", { hint: "Check that it is running and that you are on its network." });
  }
  if (answer.ok) return answer;
  throw await refusal(answer);
}

/** @param {Response} answer */
export async function refusal(answer) {
  if (answer.status === 401) loginNeeded.dispatchEvent(new Event("needed"));
  const text = await answer.text().catch(() => "");
  const facts = parsed(text);
  const message = facts?.error ?? (text.trim().slice(0, 300) || `lalald answered ${answer.status} ${answer.statusText}`.trim());
  return new ApiError(message, { status: answer.status, hint: facts?.hint ?? null, facts });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A key that makes one click act once, however often it is sent. */
export function onceKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
