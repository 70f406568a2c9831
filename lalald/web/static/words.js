// What stages, states, holds, modes and events are called on the page.

/** @type {Record<string, string>} */
export const STAGES = { upload: "Uploading", split: "Starting", check: "Processing", download: "Downloading", delete: "Finishing", archive: "Finishing" };

/** @type {Record<string, string>} */
export const NEXT_STEPS = { upload: "to upload", split: "to start", check: "to check", download: "to download", delete: "to finish", archive: "to finish" };

/** @type {Record<string, string>} */
export const STATES = { waiting: "Waiting", running: "Running", held: "Held", failed: "Failed", cancelled: "Cancelled", done: "Done" };

/** What a hold waits for, after "3 files:". @type {Record<string, string>} */
export const HOLDS = {
  license: "a valid license key is needed",
  minutes: "more minutes are needed",
  disk: "no room for the results",
  mount: "a folder is unavailable",
  permission: "a permission is missing",
  link: "a download link that cannot be followed safely",
  lost_task: "paid, but the answer was lost",
  first_scan: "there before the first scan",
  duplicate: "the same content again, earlier results gone",
};

/** What the button of a hold says; a license key cannot be released. @type {Record<string, string>} */
export const RELEASES = {
  minutes: "Release", lost_task: "Pay again", first_scan: "Process", duplicate: "Process again",
  disk: "Try now", mount: "Try now", permission: "Try now", link: "Try now",
};

/** @type {Record<string, string>} */
export const MODES = { stem_separator: "Stem separator", multistem: "Several stems", demuser: "Remove music", voice_clean: "Clean voice", change_voice: "Change voice" };

/** @type {Record<string, string>} */
export const VERBS = { retry: "Retry", redo: "Process again", release: "Release", cancel: "Cancel" };

/** @type {Record<string, string>} */
export const STEPS = {
  dropped: "Dropped into the inbox", uploaded: "Uploaded", started: "Started", delivered: "Results delivered", deleted: "Upload deleted from the service",
  finished: "Finished", changed: "Last change",
};

/** @type {Record<string, string>} */
export const EVENTS = {
  "job.done": "Finished", "job.failed": "Failed", "job.held": "Held", "hold.cleared": "Resumed", "inbox.unavailable": "Inbox unavailable", "inbox.back": "Inbox back",
  "folder.unavailable": "Folder unavailable", "folder.back": "Folder back",
  "service.down": "Service down", "service.back": "Service back", "license.missing": "Key missing", "license.refused": "Key refused", "minutes.low": "Minutes low",
  "results.expiring": "Results expire", "daemon.started": "Started",
};

/** Names of the service's tracks and stems, as people say them. @param {string} label */
export function trackName(label) {
  const known = /** @type {Record<string, string>} */ ({ no_vocals: "Instrumental", no_multistem: "Everything else", mix_no_lead: "Without lead", "vocals@0": "Lead vocals", "vocals@1": "Backing vocals" })[label];
  if (known) return known;
  const words = label.replace(/^no_/, "without_").replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
