// Uploads in pieces, in the shape of tus 1.0: paused, resumed after a lost connection, a reload or another login.

import { ApiError, get, loginNeeded, post } from "./api.js";

const PIECE_BYTES = 8_000_000;
const LONGEST_PAUSE_MS = 30_000;
const AT_ONCE = 2;
const CAN_STILL_SUCCEED = [0, 408, 423, 425, 429, 500, 502, 503, 504];

/** Tells a file from others after a reload. @param {File} file */
export const fingerprint = (file) => `${file.size} ${file.lastModified} ${file.name}`.slice(0, 200);

export class Upload {
  /** @type {"waiting" | "sending" | "paused" | "lost" | "done" | "failed"} */
  state = "waiting";
  sent = 0;
  /** Bytes per second, smoothed; 0 while it is not known. */
  rate = 0;
  /** @type {ApiError | null} */
  error = null;
  #url = "";
  #abort = new AbortController();
  #attempts = 0;
  #wasLast = false;

  /** @param {File} file @param {string} inbox @param {string} path @param {() => void} changed */
  constructor(file, inbox, path, changed) {
    this.file = file;
    this.inbox = inbox;
    this.path = path;
    this.changed = changed;
  }

  /** Continues what the server has already. @param {RemoteUpload} remote */
  adopt(remote) {
    this.#url = `api/uploads/${encodeURIComponent(remote.id)}`;
    this.sent = remote.offset;
  }

  /** Sends until it is done, paused or refused. */
  async run() {
    this.#abort = new AbortController();
    this.error = null;
    this.#become("sending");
    if (this.#url) await this.#ask();
    while (this.state === "sending" || this.state === "lost") {
      try {
        await this.#advance();
      } catch (error) {
        if (!this.#abort.signal.aborted) await this.#setback(/** @type {ApiError} */ (error));
      }
    }
  }

  pause() {
    if (this.state !== "sending" && this.state !== "lost" && this.state !== "waiting") return;
    this.#become("paused");
    this.#abort.abort();
  }

  /** Ends it and removes what the server has of it. */
  async cancel() {
    this.pause();
    if (this.#url) await post(this.#url, undefined, "DELETE").catch(() => {});
  }

  async #advance() {
    if (!this.#url) await this.#create();
    do {
      const piece = this.file.slice(this.sent, this.sent + PIECE_BYTES);
      this.#wasLast = this.sent + piece.size === this.file.size;
      this.sent = await sendPiece(this.#url, this.sent, piece, this.#abort.signal, (bytes) => this.#progress(bytes));
      this.#attempts = 0;
      this.#become("sending");
    } while (this.sent < this.file.size);
    this.#become("done");
  }

  async #create() {
    /** @type {RemoteUpload} */
    const remote = await post("api/uploads", { inbox: this.inbox, path: this.path, size: this.file.size, fingerprint: fingerprint(this.file) });
    this.adopt(remote);
  }

  /** @param {ApiError} error */
  async #setback(error) {
    if (error.status === 401 || (!CAN_STILL_SUCCEED.includes(error.status) && error.facts?.code !== "offset_mismatch")) {
      this.error = error;
      this.#become(error.status === 401 ? "paused" : "failed");
      return;
    }
    this.error = error;
    this.#become("lost");
    await pause(Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(this.#attempts++, 5)) * (0.5 + Math.random() / 2), this.#abort.signal);
    if (this.#url && !this.#abort.signal.aborted) await this.#ask();
  }

  /** How far it has come, as the server knows it. */
  async #ask() {
    try {
      const answer = await fetch(this.#url, { method: "HEAD", credentials: "same-origin", cache: "no-store", signal: this.#abort.signal });
      if (answer.status === 401) loginNeeded.dispatchEvent(new Event("needed"));
      if (answer.ok) this.sent = Number(answer.headers.get("Upload-Offset"));
      if (answer.status === 404) await this.#whenGone();
    } catch {
      // the next piece meets the same and waits longer
    }
  }

  /** The server no longer has it: because it is complete and only the answer was lost, or else it starts over. */
  async #whenGone() {
    if (this.#wasLast) {
      const found = await get("api/explain", { inbox: this.inbox, path: this.path, size: this.file.size });
      if (found.exists || found.known_job !== null) {
        this.sent = this.file.size;
        return this.#become("done");
      }
    }
    this.#url = "";
    this.sent = 0;
  }

  /** @type {{at: number, sent: number} | null} */
  #mark = null;

  /** @param {number} bytes  of the file that have left */
  #progress(bytes) {
    const now = performance.now();
    this.#mark ??= { at: now, sent: bytes };
    const seconds = (now - this.#mark.at) / 1000;
    if (seconds >= 1) {
      const fresh = Math.max(0, bytes - this.#mark.sent) / seconds;
      this.rate = this.rate ? this.rate * 0.6 + fresh * 0.4 : fresh;
      this.#mark = { at: now, sent: bytes };
    }
    this.sent = bytes;
    this.changed();
  }

  /** @param {Upload["state"]} state */
  #become(state) {
    if (this.state === "paused" && this.#abort.signal.aborted && state !== "sending") return;
    if (state !== this.state && state !== "sending") [this.rate, this.#mark] = [0, null];
    if (state === "sending" || state === "done") this.error = null;
    this.state = state;
    this.changed();
  }
}

/** Runs waiting uploads, two at a time, and those that were paused when they are started again. */
export class Queue {
  /** @type {Upload[]} */
  uploads = [];

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    addEventListener("beforeunload", (event) => {
      if (this.uploads.some(({ state }) => state === "sending" || state === "lost" || state === "waiting")) event.preventDefault();
    });
  }

  /** @param {File} file @param {string} inbox @param {string} path @param {RemoteUpload | null} remote */
  add(file, inbox, path, remote) {
    const upload = new Upload(file, inbox, path, () => this.changed());
    if (remote) upload.adopt(remote);
    this.uploads.push(upload);
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
    this.changed();
    this.#next();
  }

  #next() {
    const busy = this.uploads.filter(({ state }) => state === "sending" || state === "lost").length;
    for (const upload of this.uploads.filter(({ state }) => state === "waiting").slice(0, AT_ONCE - busy)) void upload.run().then(() => this.#next());
    this.changed();
  }
}

/** Uploads that the server keeps, also those of other browsers. @returns {Promise<RemoteUpload[]>} */
export async function unfinished() {
  return (await get("api/uploads")).uploads;
}

/**
 * Sends a piece; the answer is the new offset. By XMLHttpRequest, since fetch does not tell what has left.
 * @param {string} url @param {number} offset @param {Blob} piece @param {AbortSignal} signal @param {(sent: number) => void} onProgress
 * @returns {Promise<number>}
 */
function sendPiece(url, offset, piece, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.open("PATCH", url);
    request.setRequestHeader("X-Lalald", "1");
    request.setRequestHeader("Content-Type", "application/offset+octet-stream");
    request.setRequestHeader("Upload-Offset", String(offset));
    request.upload.onprogress = (event) => onProgress(offset + event.loaded);
    request.onloadend = () => {
      signal.removeEventListener("abort", abort);
      if (request.status === 204) resolve(Number(request.getResponseHeader("Upload-Offset")));
      else reject(refusalOf(request));
    };
    request.send(piece);
  });
}

/** @param {XMLHttpRequest} request */
function refusalOf(request) {
  if (request.status === 0) return new ApiError("The connection was lost.");
  if (request.status === 401) loginNeeded.dispatchEvent(new Event("needed"));
  try {
    const facts = JSON.parse(request.responseText);
    return new ApiError(facts.error, { status: request.status, hint: facts.hint, facts });
  } catch {
    return new ApiError(`lalald, or a proxy before it, answered ${request.status}.`, { status: request.status });
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
function pause(milliseconds, signal) {
  return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()));
    addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
