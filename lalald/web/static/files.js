// Files from a drop or a choice, with their paths in a dropped folder; and how long they last, as the browser reads it.

const LENGTH_TIMEOUT_MS = 8000;

/** @typedef {{file: File, path: string}} Picked */

/** @param {DataTransfer} transfer @returns {Promise<Picked[]>} */
export async function dropped(transfer) {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
  if (!entries.length) return chosen(transfer.files);
  return (await Promise.all(entries.map((entry) => walk(entry, "")))).flat();
}

/** @param {FileList} list @returns {Picked[]} */
export const chosen = (list) => [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

/** @param {any} entry @param {string} folder @returns {Promise<Picked[]>} */
async function walk(entry, folder) {
  const path = folder + entry.name;
  if (entry.isFile) return new Promise((resolve) => entry.file((/** @type {File} */ file) => resolve([{ file, path }]), () => resolve([])));
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([]))); // at most 100 at once
    if (!some.length) return found;
    for (const inner of some) found.push(...(await walk(inner, `${path}/`)));
  }
}

/** Seconds, or null where the browser cannot tell. @param {File} file @returns {Promise<number | null>} */
export function lengthOf(file) {
  return new Promise((resolve) => {
    const audio = new Audio();
    const url = URL.createObjectURL(file);
    const done = () => {
      clearTimeout(timer);
      resolve(Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : null);
      audio.removeAttribute("src");
      URL.revokeObjectURL(url);
    };
    const timer = setTimeout(done, LENGTH_TIMEOUT_MS);
    audio.preload = "metadata";
    audio.onloadedmetadata = audio.onerror = done;
    audio.src = url;
  });
}
