// Server-Sent Events read by fetch: EventSource hides a 401 and cannot be told to wait.

/** @typedef {{name: string, data: any}} Frame */

/**
 * The frames of a response, one after another. A comment yields null: it proves that the line is alive.
 * @param {Response} answer
 * @returns {AsyncGenerator<Frame | null>}
 */
export async function* frames(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let rest = "";
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const blocks = (rest + next.value).split("\n\n");
      rest = /** @type {string} */ (blocks.pop());
      for (const block of blocks) yield parsed(block);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** @param {string} block @returns {Frame | null} */
function parsed(block) {
  let name = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data += line.slice(5).trim();
  }
  return data ? { name, data: JSON.parse(data) } : null;
}
