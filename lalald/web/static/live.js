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
  #pause = 0;
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
    const answer = await request(`api/events${this.#watched === null ? "" : `?job=${this.#watched}`}`, { headers: { Accept: "text/event-stream" }, signal: line.signal });
    const reader = /** @type {ReadableStream} */ (answer.body).pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const timer = setTimeout(() => line.abort(), SILENCE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done || line !== this.#line) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop() ?? "";
      frames.forEach((frame) => this.#take(frame));
    }
  }

  /** @param {string} frame  a comment has no data */
  #take(frame) {
    const [, name, json] = /^event: *(\w+)\ndata: *(.*)$/m.exec(frame) ?? [];
    if (!name) return;
    const data = JSON.parse(json);
    if (name === "snapshot") return this.#become(data.status, data.job);
    if (name === "end") return void (data.reason === "logout" && needLogin());
    if (name === "status") this.status = { ...this.status, ...data };
    if (name === "job") this.job = data;
    this.dispatchEvent(new CustomEvent(name, { detail: data }));
  }

  /** @param {Status} status @param {JobDetails | null} job */
  #become(status, job) {
    [this.#failures, this.status, this.job, this.isLost] = [0, status, job, false];
    for (const name of ["connection", "status", "job", "changed"]) this.dispatchEvent(new Event(name));
  }

  /** @param {any} error @param {AbortController} line */
  async #after(error, line) {
    if (error.status === 401) return;
    if (error.status === 429) return this.#poll(line);
    if (this.#failures++ === 0) this.lostAt = Date.now();
    const pause = this.#failures === 1 ? 500 : Math.min(LONGEST_PAUSE_MS, 500 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + pause;
    this.#pause = setTimeout(() => this.#connect(), pause);
    this.isLost ||= this.#failures > 1 || this.status === null;
    this.dispatchEvent(new Event("connection"));
  }

  /** Further tabs have no stream of their own. @param {AbortController} line */
  async #poll(line) {
    try {
      const status = await get("api/status", {}, line.signal);
      const job = this.#watched === null ? null : await get(`api/jobs/${this.#watched}`, {}, line.signal).catch(() => null);
      if (line !== this.#line) return;
      this.#become(status, job);
      this.#pause = setTimeout(() => this.#poll(line), POLL_MS);
    } catch (error) {
      if (line === this.#line) await this.#after({ ...(/** @type {ApiError} */ (error)), status: 0 }, line);
    }
  }
}
