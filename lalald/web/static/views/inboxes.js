// Each inbox: whether it is there and how it is watched, its rules, what was left alone and why, what the rest will cost.

import { get, post } from "../api.js";
import { h } from "../dom.js";
import { count, minutes, price, size, span, visible } from "../format.js";
import { button, facts, failure, field, forecast, heading, loading, prose, say, sayError, section, table, verdict } from "../ui.js";

/** @type {View} */
export const inboxes = ({ live, signal, redraw, answer }) => {
  const config = answer("api/config");
  /** @type {Shown<Plan> | null} */
  let plan = null;
  /** @type {Map<string, {files: SkippedFile[], next: string | null}>} */
  const skipped = new Map();
  /** @type {Map<string, any>} */
  const explained = new Map();
  live.addEventListener("status", redraw, { signal });

  const rescan = async () => {
    const found = await post("api/rescan", {}).catch(sayError);
    if (found) say(found.daemon_running ? "Scanning the inboxes." : "lalald is not running; it scans when it starts.");
  };

  const loadSkipped = async (/** @type {string} */ inbox) => {
    const known = skipped.get(inbox);
    const page = await get("api/skipped", { inbox, after: known?.next, limit: 100 }, signal).catch(sayError);
    if (page) skipped.set(inbox, { files: [...(known?.files ?? []), ...page.files], next: page.next_after });
    redraw();
  };

  const leftAlone = (/** @type {string} */ inbox) => {
    const found = skipped.get(inbox);
    const file = (/** @type {SkippedFile} */ { path, size: bytes, reason }) => h("li", { key: path }, h("bdi", visible(path)), h("small", ` ${size(bytes)}; `, prose(reason)));
    return h(
      "details",
      { ontoggle: (event) => event.target.open && !found && loadSkipped(inbox) },
      h("summary", "What was left alone, and why"),
      !found ? loading() : found.files.length ? h("ul", found.files.map(file)) : h("p.hint", "Nothing: every file in this inbox was processed, or will be."),
      found?.next && button("Show more", () => loadSkipped(inbox), "small"),
    );
  };

  const whyForm = (/** @type {string} */ inbox) => {
    const onsubmit = async (/** @type {any} */ event) => {
      event.preventDefault();
      const path = event.target.elements.path.value.trim();
      if (!path) return;
      explained.set(inbox, await get("api/explain", { inbox, path }, signal).catch((error) => error));
      redraw();
    };
    const found = explained.get(inbox);
    return h(
      "form.filter.why",
      { onsubmit },
      field("Would a file be processed? Its path in this inbox", h("input", { name: "path", placeholder: "album/song.wav", autocomplete: "off", spellcheck: "false" })),
      h("button", "Explain"),
      found && h("div.answer", { role: "status" }, found instanceof Error ? failure(found) : [found.taken && h("p", forecast(found)), verdict(found)]),
    );
  };

  const card = (/** @type {InboxConfig} */ inbox) => {
    const { path, outbox, settle, on_success: after, done_dir: done, ignore, rules } = inbox;
    const state = live.status?.inboxes.find((one) => one.path === path);
    const [tone, words] = state?.available ? ["good", "Available"] : state?.available === false ? ["bad", "Unavailable"] : ["", "Not scanned yet"];
    const element = section(
      "inbox",
      visible(path),
      h(`span.state.${tone}`, words),
      facts(
        ["Results go to", h("code", visible(outbox))],
        ["Watched", watching(state)],
        ["A file is finished", `when no program writes to it and it has not changed for ${typeof settle === "number" ? span(settle) : settle}`],
        ["Afterwards the source is", { move: ["moved to ", h("code", visible(done))], keep: "kept where it is", delete: "deleted" }[after] ?? after],
        ["Ignored", ignore.length > 0 && patterns(ignore)],
      ),
      h("h3", "Rules"),
      h("ol.rows", rules.map(ruleRow)),
      whyForm(path),
      leftAlone(path),
    );
    return Object.assign(element, { key: path });
  };

  return () => [
    heading("Inboxes and rules", button("Scan now", rescan), button(plan && !plan.value && !plan.error ? "Pricing …" : "Price what waits", () => (plan = answer("api/plan")), "", { key: "price" })),
    plan?.shown(planned),
    config.shown(({ inboxes, ...rest }) => [inboxes.map(card), limits(rest)]),
  ];
};

/** @param {string[]} globs */
const patterns = (globs) => globs.map((glob) => [h("code", visible(glob)), " "]);

/** @param {Folder | undefined} state */
function watching(state) {
  if (state?.available === false) return prose(state.reason ?? "not while it is unavailable");
  if (!state?.watch) return "not at the moment";
  const isNative = state.watch === "native";
  return [isNative ? "at once, by the kernel's own events" : "by scanning", !isNative && state.watch_reason && [": ", prose(state.watch_reason)], state.reason && ["; ", prose(state.reason)]];
}

/** @param {Rule} rule */
const ruleRow = ({ name, match, types, tasks, output, track_titles: tracks }) =>
  h(
    "li.row.rule",
    h("b", visible(name)),
    h("span", match?.length ? patterns(match) : `every ${types === "any" ? "file" : "audio or video file"}`),
    h("span", tasks.map(({ title }) => visible(title)).join("; "), tracks.length > 0 && `; only ${tracks.map(visible).join(", ")}`),
    h("span.hint", "to ", h("code", visible(output))),
  );

/** @param {Plan} plan */
function planned({ rules, files, minutes: known, unknown, minutes_left: left, left_alone: alone, troubles }) {
  const rows = rules.filter((line) => line.new + line.waiting + line.held > 0).map((line) => ({ cells: [line.rule, line.new || "–", line.waiting || "–", line.held || "–", minutes(line.minutes)] }));
  const others = Object.entries(alone).map(([reason, number]) => `${count(number, "file")} (${visible(reason)})`);
  return section(
    "plan",
    "What waits will cost",
    null,
    rows.length ? table("By rule", [["Rule"], ["New", "figure"], ["Waiting", "figure"], ["Held", "figure"], ["Minutes", "figure"]], rows) : h("p", "Nothing waits to be processed."),
    rows.length > 0 && h("p", `In all ${count(files, "file")}: ${price(known, unknown)}. `, left !== null && `${minutes(left)} are left.`),
    others.length > 0 && h("p.hint", "Left alone: ", others.join(", ")),
    troubles.map((trouble) => h("p.bad", prose(trouble))),
  );
}

/** @param {Omit<Config, "inboxes">} config */
const limits = ({ minutes: { reserve, per_file: perFile, per_day: perDay }, license_key: key, notify, path }) =>
  section(
    "limits",
    "Limits",
    null,
    facts(
      ["Kept in reserve", minutes(reserve)],
      ["At most a file", perFile === null ? "no limit" : minutes(perFile)],
      ["At most a day", perDay === null ? "no limit" : minutes(perDay)],
      ["License key", key],
      ["Notifications", notify.join(", ") || "none"],
      ["Configuration", path && h("code", visible(path))],
    ),
    h("p.hint", prose("Rules and limits are changed in the configuration file, never here. `lalald check-config` checks it.")),
  );
