// Files from a drop or a choice, and how long they last.

const LENGTH_TIMEOUT_MS = 8000;

/** @type {Dropped} */
export const dropped = async (transfer) => {
	const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry?.() ?? []);
	return entries.length ? (await Promise.all(entries.map((entry) => walk(entry, "")))).flat() : chosen(transfer.files);
};

/** @type {Chosen} */
export const chosen = (list) => [...list].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

/** @type {Walk} */
const walk = async (entry, folder) => {
	const path = folder + entry.name;
	if (entry.isFile) return new Promise((resolve) => entry.file((/** @type {File} */ file) => resolve([{ file, path }]), () => resolve([])));
	const reader = entry.createReader();
	const found = [];
	for (;;) {
		const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([]))); // at most 100 at once
		if (!some.length) return found;
		for (const inner of some) found.push(...(await walk(inner, `${path}/`)));
	}
};

/** Seconds, or null where the browser cannot tell. @type {LengthOf} */
export const lengthOf = (file) =>
	new Promise((resolve) => {
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
