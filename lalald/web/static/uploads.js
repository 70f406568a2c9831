// Uploads in pieces, in the shape of tus 1.0: paused, resumed after a lost connection, a reload or another login.

import { get, post, request } from "./api.js";

const [LEAST_PIECE, LARGEST_PIECE] = [256_000, 8_000_000];
const PIECE_SECONDS = 1; // progress is seen after each piece
const LONGEST_PAUSE_MS = 30_000;
const AT_ONCE = 2;
const CAN_STILL_SUCCEED = [0, 408, 423, 425, 429, 500, 502, 503, 504];

/** Tells a file from others after a reload. @type {(file: File) => string} */
export const fingerprint = (file) => `${file.size} ${file.lastModified} ${file.name}`.slice(0, 200);

/** Removes what the server has of an upload. @type {(id: string) => Promise<unknown>} */
export const forget = (id) => post(`api/uploads/${encodeURIComponent(id)}`, undefined, "DELETE").catch(() => {});

/** @type {(file: File, inbox: string, path: string, remote: RemoteUpload | undefined, changed: () => void) => Upload} */
const uploadOf = (file, inbox, path, remote, changed) => {
  let id = remote?.id ?? "";
  let [piece, setbacks, wasLast] = [1_000_000, 0, false];
  let abort = new AbortController();
  /** @type {Upload} */
  const upload = {
    file, inbox, path, state: "waiting", sent: remote?.offset ?? 0, rate: 0, error: null,

    get isActive() {
      return ["waiting", "sending", "lost"].includes(upload.state);
    },

    /** Sends until it is done, paused or refused. */
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

  /** @type {(state: Upload["state"], error?: any) => void} */
  const become = (state, error = null) => {
    Object.assign(upload, { state, error, rate: state === "sending" ? upload.rate : 0 });
    changed();
  };

  /** Creates it, and sends a piece. @type {(signal: AbortSignal) => Promise<void>} */
  const send = async (signal) => {
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
  };

  /** @type {(error: any, signal: AbortSignal) => Promise<void>} */
  const setback = async (error, signal) => {
    if (signal.aborted) return;
    const isOver = !CAN_STILL_SUCCEED.includes(error.status) && error.code !== "offset_mismatch";
    become(error.status === 401 ? "paused" : isOver ? "failed" : "lost", error);
    if (upload.state !== "lost") return;
    await pause(Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** setbacks++) * (0.5 + Math.random() / 2), signal);
    if (id && !signal.aborted) await ask();
  };

  /** How far it has come, as the server knows it. Where that fails the next piece meets the same. */
  const ask = () =>
    request(`api/uploads/${id}`, { method: "HEAD" })
      .then((answer) => (upload.sent = Number(answer.headers.get("Upload-Offset"))), (error) => error.status === 404 && whenGone())
      .catch(() => {});

  /** The server no longer has it: it is complete and only the answer was lost, or it starts over. */
  const whenGone = async () => {
    const found = wasLast && (await get("api/explain", { inbox, path, size: file.size }));
    if (!found || (!found.exists && found.known_job === null)) return void ([id, upload.sent] = ["", 0]);
    upload.sent = file.size;
    become("done");
  };

  return upload;
};

/** Runs waiting uploads, two at a time. @type {(changed: () => void) => Queue} */
export const queueOf = (changed) => {
  const next = () => {
    const of = (/** @type {Upload["state"][]} */ ...states) => queue.uploads.filter(({ state }) => states.includes(state));
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
};

/** @type {(milliseconds: number, signal: AbortSignal) => Promise<unknown>} */
const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve);
    addEventListener("online", resolve, { once: true });
  });
