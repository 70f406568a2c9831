// One job: its player, its results, its steps and charges, and what can be done with it.

import { h, show } from "../dom.js";
import { act, cancel } from "../acts.js";
import { get } from "../api.js";
import { baseName, folderOf, length, minutes, moment, rate, size, span, until, visible } from "../format.js";
import { icon } from "../icons.js";
import { failure, heading, journey, loading, pill, prose, section, sentence, time } from "../parts.js";
import { Player } from "../player/player.js";
import { HOLDS, MODES, STAGES, STATES, STEPS, trackName, VERBS } from "../words.js";

/** @param {import("../app.js").Context} context */
export function job({ live, root, parts, signal, setTitle }) {
  const id = Number(parts[0]);
  /** @type {JobDetails | null} */
  let shown = null;
  /** @type {any} */
  let trouble = null;
  /** @type {Player | null} */
  let player = null;
  let playedTracks = "";
  let startsPlaying = parts[1] === "play";

  const draw = () => {
    if (trouble) return show(root, heading(`Job ${parts[0]}`), failure(trouble, () => void load()));
    if (!shown) return show(root, heading(`Job ${parts[0]}`), loading());
    setTitle(visible(baseName(shown.path)));
    player = playerOf(shown);
    show(root, title(shown), notes(shown), progress(shown), player?.element ?? null, downloads(shown), h("div", { class: "columns", key: "columns" }, facts(shown), steps(shown)), tasks(shown), charges(shown));
    if (startsPlaying && player) {
      startsPlaying = false;
      void player.toggle();
    }
  };

  /** The player stays while the tracks are the same. @param {JobDetails} found */
  const playerOf = (found) => {
    const tracks = found.media.tracks.filter((track) => track.playable);
    const known = tracks.map((track) => `${track.url} ${track.size}`).join("\n");
    if (known === playedTracks) return player;
    playedTracks = known;
    player?.close();
    const original = found.media.source?.playable ? stemOf(found.media.source, "Original") : null;
    return tracks.length ? new Player(tracks.map((track) => stemOf(track, trackName(track.label))), original, found.duration) : null;
  };

  const load = async () => {
    trouble = null;
    try {
      shown = await get(`api/jobs/${id}`, {}, signal);
    } catch (error) {
      if (signal.aborted) return;
      trouble = error;
    }
    draw();
  };

  const onLive = () => {
    if (!live.job || live.job.id !== id) return;
    [shown, trouble] = [live.job, null];
    draw();
  };
  live.addEventListener("job", onLive, { signal });
  signal.addEventListener("abort", () => player?.close());
  draw();
  void load();
}

/** @param {{url: string, name: string, size: number}} file @param {string} name */
function stemOf(file, name) {
  return { name, url: file.url, size: file.size, extension: file.name.slice(file.name.lastIndexOf(".") + 1) };
}

/** @param {JobDetails} found */
function title(found) {
  return h(
    "header",
    { class: "job-head", key: "head" },
    h("p", { class: "path" }, h("a", { href: "#/history" }, "History"), " / ", visible(`${found.inbox}/${folderOf(found.path)}`)),
    h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, h("bdi", null, visible(baseName(found.path)))), pill(found.state)),
    h("div", { class: "job-actions" }, buttons(found)),
  );
}

/** @param {JobDetails} found */
function buttons(found) {
  const { actions, id } = found;
  if (found.request) return h("p", { class: "hint" }, `Asked to ${found.request}; lalald acts in a moment.`);
  const verbs = /** @type {Verb[]} */ (["release", "retry", "redo"]).filter((verb) => actions[verb]);
  return [
    verbs.map((verb, index) => h("button", { key: verb, type: "button", class: index === 0 && verb !== "redo" ? "primary" : "", on: { click: () => act(verb, { ids: [id] }) } }, label(verb, found))),
    actions.cancel && h("button", { key: "cancel", type: "button", on: { click: () => cancel([id], visible(baseName(found.path))) } }, "Cancel …"),
  ];
}

/** @param {Verb} verb @param {JobDetails} found */
function label(verb, found) {
  const price = found.quotes[verb]?.minutes;
  return price ? `${VERBS[verb]} for ${minutes(price)} …` : `${VERBS[verb]} …`;
}

/** @param {JobDetails} found */
function notes(found) {
  const { error, state, hold, hold_reason: reason, to_do: toDo, results_expire_at: expire } = found;
  const isBad = state === "failed";
  const text = isBad ? error : state === "held" ? reason : null;
  const head = isBad ? "It failed" : `It waits: ${HOLDS[hold ?? ""] ?? hold}`;
  return [
    text !== null && (isBad || state === "held") && h("div", { key: "why", class: `notice ${isBad ? "is-bad" : "is-held"}` }, h("h2", null, head), h("p", null, sentence(text)), toDo && h("p", { class: "hint" }, sentence(toDo)), expire && h("p", { class: "expires" }, `Paid results are lost ${until(expire)} (${moment(expire)}).`)),
    found.warnings.length > 0 && h("ul", { key: "warnings", class: "notice is-held" }, found.warnings.map((warning) => h("li", null, prose(warning)))),
  ];
}

/** @param {JobDetails} found */
function progress(found) {
  if (!["running", "waiting"].includes(found.state)) return null;
  const facts = [found.rate ? rate(found.rate) : null, found.seconds_left !== null ? `${span(found.seconds_left)} left` : null].filter(Boolean);
  const doing = found.state === "waiting" ? STATES.waiting : (STAGES[found.stage] ?? found.stage);
  return h("div", { key: "progress", class: "job-progress" }, h("p", null, h("strong", null, doing), h("span", { class: "facts" }, [found.state === "running" && found.stage !== "split" ? `${Math.round(found.progress)} %` : null, ...facts].filter(Boolean).join(" · "))), journey(found));
}

/** @param {JobDetails} found */
function downloads(found) {
  const { tracks, zip, zip_size: zipSize } = found.media;
  if (!tracks.length) return null;
  return section(
    "Results",
    { key: "results", beside: zip && h("a", { class: "button small", href: zip, download: true }, icon("download"), `All as zip${zipSize ? `, ${size(zipSize)}` : ""}`) },
    h("ul", { class: "tracks" }, tracks.map((track) => h("li", { key: track.number }, h("a", { href: `${track.url}?download=1`, download: true }, icon("download"), h("bdi", null, visible(track.name))), h("span", { class: "hint" }, size(track.size))))),
    found.folder && h("p", { class: "hint" }, "In ", h("code", null, visible(found.folder))),
  );
}

/** @param {JobDetails} found */
function facts(found) {
  return section(
    "File",
    { key: "facts" },
    h(
      "dl",
      { class: "facts-list" },
      pair("Job", String(found.id)),
      pair("Rule", visible(found.rule ?? "none")),
      pair("Why", sentence(found.explanation)),
      pair("Length", found.duration === null ? "not known yet" : length(found.duration)),
      pair("Size", size(found.size)),
      pair("Charged", found.minutes ? minutes(found.minutes) : "nothing"),
      found.source_id && pair("Source at the service", h("code", null, visible(found.source_id))),
    ),
  );
}

/** @param {string} name @param {...import("../dom.js").Child} value */
function pair(name, ...value) {
  return h("div", null, h("dt", null, name), h("dd", null, ...value));
}

/** @param {JobDetails} found */
function steps(found) {
  if (!found.steps.length) return null;
  return section("Steps", { key: "steps" }, h("ol", { class: "steps" }, found.steps.map((step) => h("li", { key: `${step.step} ${step.task} ${step.at}` }, h("span", null, STEPS[step.step] ?? step.step, step.task && found.tasks.length > 1 && h("span", { class: "hint" }, ` ${visible(step.task)}`)), time(step.at)))));
}

/** @param {JobDetails} found */
function tasks(found) {
  if (!found.tasks.length) return null;
  return section(
    "Tasks",
    { key: "tasks" },
    h(
      "ul",
      { class: "tasks" },
      found.tasks.map((task) =>
        h(
          "li",
          { key: task.number },
          h("div", { class: "heading" }, h("h3", null, visible(task.name ?? MODES[task.mode] ?? task.mode)), pill(task.state)),
          h("p", { class: "hint" }, [task.name ? (MODES[task.mode] ?? task.mode) : null, ...Object.entries(task.presets).map(([name, value]) => `${name.replaceAll("_", " ")} ${Array.isArray(value) ? value.join(", ") : value}`), task.minutes ? `${minutes(task.minutes)} charged` : null].filter(Boolean).join(" · ")),
          task.error && h("p", { class: "bad" }, prose(task.error)),
          task.task_id && h("p", { class: "hint" }, "Task ", h("code", null, visible(task.task_id))),
        ),
      ),
    ),
  );
}

/** @param {JobDetails} found @param {number} number */
function taskName(found, number) {
  const task = found.tasks.find((one) => one.number === number);
  return task?.name ?? MODES[task?.mode ?? ""] ?? `Task ${number}`;
}

/** @param {JobDetails} found */
function charges(found) {
  if (!found.charges.length) return null;
  return section(
    "Charges",
    { key: "charges" },
    h(
      "table",
      null,
      h("thead", null, h("tr", null, ["When", "Task"].map((name) => h("th", { scope: "col" }, name)), h("th", { scope: "col", class: "figure" }, "Minutes"))),
      h("tbody", null, found.charges.map((charge) => h("tr", null, h("td", null, time(charge.at)), h("td", null, visible(taskName(found, charge.task))), h("td", { class: "figure" }, minutes(charge.minutes))))),
    ),
  );
}
