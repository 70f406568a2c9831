// Uploads in pieces, in the shape of tus 1.0: paused, resumed after a lost connection, a reload or another login.

import { get, post, request } from "./api.js";

const [LEAST_PIECE, LARGEST_PIECE] = [256_000, 8_000_000];
const PIECE_SECONDS = 1; // progress is seen after each piece
const LONGEST_PAUSE_MS = 30_000;
const AT_ONCE = 2;
const CAN_STILL_SUCCEED = [0, 408, 423, 425, 429, 500, 502, 503, 504];

/** Tells a file from others after a reload. @param {File} file */
export const fingerprint = (file) => `${file.size} ${file.lastModified} ${file.name}`.slice(0, 200);

/** Removes what the server has of an upload. @param {string} id */
export const forget = (id) => post(`api/uploads/${encodeURIComponent(id)}`, undefined, "DELETE").catch(() => {});

export class Upload {
  /** @type {"waiting" | "sending" | "paused" | "lost" | "done" | "failed"} */
  state = "waiting";
  /** Bytes per second; 0 while it is not known. */
  rate = 0;
  /** @type {any} */
  error = null;
  #piece = 1_000_000;
  #abort = new AbortController();
  #setbacks = 0;
  #wasLast = false;

  /** @param {File} file @param {string} inbox @param {string} path @param {RemoteUpload | undefined} remote  what the server has already @param {() => void} changed */
  constructor(file, inbox, path, remote, changed) {
    this.file = file;
    this.inbox = inbox;
    this.path = path;
    this.changed = changed;
    this.id = remote?.id ?? "";
    this.sent = remote?.offset ?? 0;
  }

  get isActive() {
    return ["waiting", "sending", "lost"].includes(this.state);
  }

  /** Sends until it is done, paused or refused. */
  async run() {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#become("sending");
    if (this.id) await this.#ask();
    while (this.isActive && !signal.aborted) {
      try {
        await this.#send(signal);
      } catch (error) {
        if (!signal.aborted) await this.#setback(error, signal);
      }
    }
  }

  pause() {
    if (!this.isActive) return;
    this.#abort.abort();
    this.#become("paused");
  }

  /** Ends it, also on the server. */
  async cancel() {
    this.pause();
    if (this.id) await forget(this.id);
  }

  /** Creates it, or sends a piece. @param {AbortSignal} signal */
  async #send(signal) {
    const { file, inbox, path } = this;
    if (!this.id) {
      const remote = await post("api/uploads", { inbox, path, size: file.size, fingerprint: fingerprint(file) });
      this.id = remote.id;
      this.sent = remote.offset;
    }
    const body = file.slice(this.sent, this.sent + this.#piece);
    this.#wasLast = this.sent + body.size === file.size;
    const headers = { "X-Lalald": "1", "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(this.sent) };
    const began = performance.now();
    const answer = await request(`api/uploads/${this.id}`, { method: "PATCH", headers, body, signal });
    const rate = body.size / Math.max(0.001, (performance.now() - began) / 1000);
    this.sent = Number(answer.headers.get("Upload-Offset"));
    this.rate = this.rate ? this.rate * 0.6 + rate * 0.4 : rate;
    this.#piece = Math.round(Math.min(LARGEST_PIECE, Math.max(LEAST_PIECE, this.rate * PIECE_SECONDS)));
    this.#setbacks = 0;
    if (!signal.aborted) this.#become(this.sent < file.size ? "sending" : "done");
  }

  /** @param {any} error @param {AbortSignal} signal */
  async #setback(error, signal) {
    const isOver = !CAN_STILL_SUCCEED.includes(error.status) && error.code !== "offset_mismatch";
    this.#become(error.status === 401 ? "paused" : isOver ? "failed" : "lost", error);
    if (this.state !== "lost") return;
    await pause(Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(this.#setbacks++, 5)) * (0.5 + Math.random() / 2), signal);
    if (this.id && !signal.aborted) await this.#ask();
  }

  /** How far it has come, as the server knows it. */
  async #ask() {
    try {
      const answer = await request(`api/uploads/${this.id}`, { method: "HEAD" });
      this.sent = Number(answer.headers.get("Upload-Offset"));
    } catch (error) {
      if (/** @type {any} */ (error).status === 404) await this.#whenGone().catch(() => {}); // else the next piece meets the same
    }
  }

  /** The server no longer has it: it is complete and only the answer was lost, or it starts over. */
  async #whenGone() {
    if (this.#wasLast) {
      const found = await get("api/explain", { inbox: this.inbox, path: this.path, size: this.file.size });
      if (found.exists || found.known_job !== null) {
        this.sent = this.file.size;
        return this.#become("done");
      }
    }
    this.id = "";
    this.sent = 0;
  }

  /** @param {Upload["state"]} state */
  #become(state, error = null) {
    if (state !== "sending") this.rate = 0;
    this.state = state;
    this.error = error;
    this.changed();
  }
}

/** Runs waiting uploads, two at a time. */
export class Queue {
  /** @type {Upload[]} */
  uploads = [];

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    addEventListener("beforeunload", (event) => this.uploads.some((upload) => upload.isActive) && event.preventDefault());
  }

  /** @param {File} file @param {string} inbox @param {string} path @param {RemoteUpload | undefined} remote */
  add(file, inbox, path, remote) {
    this.uploads.push(new Upload(file, inbox, path, remote, this.changed));
    this.#next();
  }

  /** @param {Upload} upload */
  resume(upload) {
    upload.state = "waiting";
    this.#next();
  }

  /** @param {Upload} upload */
  async remove(upload) {
    this.uploads = this.uploads.filter((other) => other !== upload);
    if (upload.state !== "done") await upload.cancel();
    this.#next();
  }

  #next() {
    const busy = this.uploads.filter(({ state }) => state === "sending" || state === "lost").length;
    for (const upload of this.uploads.filter(({ state }) => state === "waiting").slice(0, AT_ONCE - busy)) void upload.run().then(() => this.#next());
    this.changed();
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve);
    addEventListener("online", resolve, { once: true });
  });
}
