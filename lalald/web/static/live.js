// lalald's state, kept current by one stream. It reconnects, polls where it may have no stream, and rests while the tab is hidden.

import { ApiError, get, loginNeeded, request } from "./api.js";
import { frames } from "./event_stream.js";

const SILENCE_MS = 45_000; // a comment comes every 20 s
const POLL_MS = 5000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Events: `status` (something of it changed), `job` (the job that is watched), `changed` (anything in the store),
 * `action` (what the daemon made of a request), `connection`.
 */
export class Live extends EventTarget {
  /** @type {Status | null} */
  status = null;
  /** @type {JobDetails | null} */
  job = null;
  /** @type {"connecting" | "live" | "polling" | "lost"} */
  connection = "connecting";
  /** @type {number} */
  lostAt = 0;
  /** @type {number} */
  retryAt = 0;
  /** @type {number | null} */
  #watched = null;
  #failures = 0;
  #isOn = false;
  #pause = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  /** @type {AbortController | null} */
  #line = null;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#resume()));
    addEventListener("online", () => this.retry());
    loginNeeded.addEventListener("needed", () => this.stop());
  }

  start() {
    this.#isOn = true;
    this.#resume();
  }

  stop() {
    this.#isOn = false;
    this.#rest();
  }

  /** Follows one job too; null: none. @param {number | null} job */
  watch(job) {
    if (this.#watched === job) return;
    this.#watched = job;
    this.job = null;
    if (this.#isOn && !document.hidden) this.#connect();
  }

  /** Tries now, not at the end of the pause. */
  retry() {
    if (this.connection === "lost" && this.#isOn) this.#connect();
  }

  #rest() {
    clearTimeout(this.#pause);
    this.#line?.abort();
    this.#line = null;
  }

  #resume() {
    if (this.#isOn && !document.hidden && !this.#line) this.#connect();
  }

  async #connect() {
    this.#rest();
    const line = new AbortController();
    this.#line = line;
    try {
      await this.#follow(line);
      throw new ApiError("The connection ended.");
    } catch (error) {
      if (line === this.#line && this.#isOn) this.#after(error, line);
    }
  }

  /** @param {AbortController} line */
  async #follow(line) {
    const query = this.#watched === null ? "" : `?job=${this.#watched}`;
    let timer = setTimeout(() => line.abort(), SILENCE_MS);
    try {
      const answer = await request(`api/events${query}`, { headers: { Accept: "text/event-stream" }, signal: line.signal });
      for await (const frame of frames(answer)) {
        clearTimeout(timer);
        timer = setTimeout(() => line.abort(), SILENCE_MS);
        if (line !== this.#line) return;
        if (frame) this.#take(frame);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {import("./event_stream.js").Frame} frame */
  #take({ name, data }) {
    if (name === "snapshot") {
      this.#failures = 0;
      this.status = data.status;
      this.job = data.job;
      this.#become("live");
      for (const type of ["status", "job", "changed"]) this.#tell(type);
    } else if (name === "status") {
      this.status = { ...this.status, ...data };
      this.#tell("status");
    } else if (name === "job") {
      this.job = data;
      this.#tell("job");
    } else if (name === "changed") {
      this.#tell("changed");
    } else if (name === "action") {
      this.dispatchEvent(new CustomEvent("action", { detail: data }));
    } else if (name === "end" && data.reason === "logout") {
      loginNeeded.dispatchEvent(new Event("needed"));
    }
  }

  /** @param {any} error @param {AbortController} line */
  #after(error, line) {
    if (error instanceof ApiError && error.status === 401) return;
    if (error instanceof ApiError && error.status === 429) {
      this.#poll(line);
      return;
    }
    if (this.#failures++ === 0) this.lostAt = Date.now();
    const longest = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(this.#failures - 1, 5));
    const pause = this.#failures === 1 ? 500 : longest * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + pause;
    this.#pause = setTimeout(() => this.#connect(), pause);
    if (this.#failures > 1 || this.status === null) this.#become("lost");
  }

  /** Further tabs have no stream of their own. @param {AbortController} line */
  async #poll(line) {
    this.#become("polling");
    try {
      this.status = await get("api/status", {}, line.signal);
      if (this.#watched !== null) this.job = await get(`api/jobs/${this.#watched}`, {}, line.signal).catch(() => null);
    } catch (error) {
      if (line === this.#line && this.#isOn) this.#after(/** @type {any} */ (error).status === 429 ? new ApiError("Too many requests.") : error, line);
      return;
    }
    if (line !== this.#line) return;
    this.#failures = 0;
    for (const type of ["status", "job", "changed"]) this.#tell(type);
    this.#pause = setTimeout(() => this.#poll(line), POLL_MS);
  }

  /** @param {Live["connection"]} connection */
  #become(connection) {
    this.connection = connection;
    this.#tell("connection");
  }

  /** @param {string} type */
  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
