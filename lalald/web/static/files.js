// Files from a drop or a choice, with their paths in a dropped folder; and how long they last, as the browser reads it.

const LENGTH_TIMEOUT_MS = 8000;

/** @typedef {{file: File, path: string}} Picked */

/** @param {DataTransfer} transfer @returns {Promise<Picked[]>} */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map((entry) => walk(/** @type {any} */ (entry), "")))).flat();
}

/** @param {FileList} list @returns {Picked[]} */
export function chosen(list) {
  return [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** @param {any} entry @param {string} folder @returns {Promise<Picked[]>} */
async function walk(entry, folder) {
  const path = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    return file ? [{ file, path }] : [];
  }
  const reader = entry.createReader();
  /** @type {Picked[]} */
  const found = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await walk(inner, `${path}/`)));
  }
}

/** Seconds, or null where the browser cannot tell. @param {File} file @returns {Promise<number | null>} */
export function lengthOf(file) {
  return new Promise((resolve) => {
    const audio = new Audio();
    const url = URL.createObjectURL(file);
    const done = (/** @type {number | null} */ seconds) => {
      clearTimeout(timer);
      audio.removeAttribute("src");
      URL.revokeObjectURL(url);
      resolve(seconds);
    };
    const timer = setTimeout(done, LENGTH_TIMEOUT_MS, null);
    audio.preload = "metadata";
    audio.addEventListener("loadedmetadata", () => done(Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : null));
    audio.addEventListener("error", () => done(null));
    audio.src = url;
  });
}
