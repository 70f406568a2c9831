// lalald's state, kept current by one stream. It reconnects, polls where it may have no stream, and rests while the tab is hidden.

import { ApiError, get, login, needLogin, request } from "./api.js";

const SILENCE_MS = 45_000; // a comment comes every 20 s
const POLL_MS = 5000;
const LONGEST_PAUSE_MS = 30_000;

/** Events: `status`, `job` (the one that is watched), `changed` (anything), `action` (what the daemon made of a request), `connection`. */
export class Live extends EventTarget {
  /** @type {Status | null} */
  status = null;
  /** @type {JobDetails | null} */
  job = null;
  isLost = false;
  lostAt = 0;
  retryAt = 0;
  /** @type {number | null} */
  #watched = null;
  #failures = 0;
  #isOn = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;
  /** @type {AbortController | null} */
  #line = null;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#line || this.#connect()));
    addEventListener("online", () => this.retry());
    login.addEventListener("needed", () => this.stop());
  }

  start() {
    this.#isOn = true;
    void this.#connect();
  }

  stop() {
    this.#isOn = false;
    this.#rest();
  }

  /** Follows one job too; null: none. @param {number | null} job */
  watch(job) {
    if (this.#watched === job) return;
    [this.#watched, this.job] = [job, null];
    void this.#connect();
  }

  /** Tries now, not at the end of the pause. */
  retry() {
    if (this.isLost) void this.#connect();
  }

  #rest() {
    clearTimeout(this.#pause);
    this.#line?.abort();
    this.#line = null;
  }

  async #connect() {
    this.#rest();
    if (!this.#isOn || document.hidden) return;
    const line = (this.#line = new AbortController());
    try {
      await this.#follow(line);
      throw new ApiError("The connection ended.");
    } catch (error) {
      if (line === this.#line) await this.#after(error, line);
    }
  }

  /** Reads Server-Sent Events by fetch: EventSource hides a 401 and cannot be told to wait. @param {AbortController} line */
  async #follow(line) {
    let timer = setTimeout(() => line.abort(), SILENCE_MS);
    try {
      const answer = await request(`api/events${this.#watched === null ? "" : `?job=${this.#watched}`}`, { headers: { Accept: "text/event-stream" }, signal: line.signal });
      const text = /** @type {ReadableStream} */ (answer.body).pipeThrough(new TextDecoderStream());
      let rest = "";
      for await (const piece of /** @type {any} */ (pieces(text.getReader()))) {
        clearTimeout(timer);
        timer = setTimeout(() => line.abort(), SILENCE_MS);
        const frames = (rest + piece).split("\n\n");
        rest = frames.pop() ?? "";
        for (const frame of frames) if (line === this.#line) this.#take(frame);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {string} frame  a comment has no data */
  #take(frame) {
    const [, name, json] = /^event: *(\w+)\ndata: *(.*)$/m.exec(frame) ?? [];
    if (!name) return;
    const data = JSON.parse(json);
    if (name === "snapshot") this.#become(data);
    else if (name === "end") data.reason === "logout" && needLogin();
    else {
      if (name === "status") this.status = { ...this.status, ...data };
      if (name === "job") this.job = data;
      this.dispatchEvent(new CustomEvent(name, { detail: data }));
    }
  }

  /** @param {{status: Status, job: JobDetails | null}} state */
  #become({ status, job }) {
    [this.#failures, this.status, this.job] = [0, status, job];
    this.#lose(false);
    for (const name of ["status", "job", "changed"]) this.dispatchEvent(new Event(name));
  }

  /** @param {any} error @param {AbortController} line */
  async #after(error, line) {
    if (error.status === 401) return;
    if (error.status === 429) return this.#poll(line);
    if (this.#failures++ === 0) this.lostAt = Date.now();
    const longest = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(this.#failures - 1, 5));
    const pause = this.#failures === 1 ? 500 : longest * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + pause;
    this.#pause = setTimeout(() => this.#connect(), pause);
    if (this.#failures > 1 || this.status === null) this.#lose(true);
  }

  /** Further tabs have no stream of their own. @param {AbortController} line */
  async #poll(line) {
    try {
      const status = await get("api/status", {}, line.signal);
      const job = this.#watched === null ? null : await get(`api/jobs/${this.#watched}`, {}, line.signal).catch(() => null);
      if (line !== this.#line) return;
      this.#become({ status, job });
      this.#pause = setTimeout(() => this.#poll(line), POLL_MS);
    } catch (error) {
      if (line === this.#line) await this.#after(/** @type {any} */ (error).status === 429 ? new ApiError("Too many requests.") : error, line);
    }
  }

  /** @param {boolean} isLost */
  #lose(isLost) {
    this.isLost = isLost;
    this.dispatchEvent(new Event("connection"));
  }
}

/** Not every browser iterates a stream itself. @param {ReadableStreamDefaultReader<string>} reader */
async function* pieces(reader) {
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}
