// What the page's API answers, as far as the page uses it. The README documents the keys.

interface Attention {
  code: string;
  subject: string;
  message: string;
  hint: string;
}

interface Hold {
  hold: string;
  jobs: number;
  since: string | null;
  reason: string | null;
  job_id: number;
  minutes: number;
  unknown: number;
  to_do: string;
}

interface Folder {
  path: string;
  available: boolean | null;
  reason: string | null;
  since: string | null;
  watch?: string | null;
  watch_reason?: string | null;
}

interface RunningJob {
  id: number;
  inbox: string;
  path: string;
  stage: string;
  progress: number;
  rate: number | null;
  seconds_left: number | null;
  updated_at: string;
}

interface FinishedJob {
  id: number;
  inbox: string;
  path: string;
  folder: string | null;
  minutes: number;
  finished_at: string | null;
}

interface FailedJob extends RunningJob {
  error: string | null;
}

interface IncompleteJob extends RunningJob {
  warning: string | null;
}

interface Minutes {
  today: number;
  this_month: number;
  left: number | null;
  left_at: string | null;
}

interface Status {
  daemon: { running: boolean; version: string | null; started_at: string | null; config: string | null };
  needs_attention: Attention[];
  service: { trouble: string | null; since: string | null };
  inboxes: Folder[];
  outboxes: Folder[];
  archive_folders: Folder[];
  jobs: Record<string, number>;
  stages: Record<string, number>;
  requests: number;
  under_way: RunningJob[];
  waiting: { minutes: number; unknown: number };
  finished: FinishedJob[];
  holds: Hold[];
  failures: FailedJob[];
  incomplete: IncompleteJob[];
  minutes: Minutes;
}

interface Task {
  number: number;
  name: string | null;
  mode: string;
  presets: Record<string, unknown>;
  task_id: string | null;
  stage: string;
  state: string;
  progress: number | null;
  minutes: number | null;
  started_at: string | null;
  error: string | null;
}

interface Job {
  id: number;
  inbox: string;
  path: string;
  rule: string | null;
  stage: string;
  state: string;
  hold: string | null;
  hold_reason: string | null;
  error: string | null;
  warning: string | null;
  progress: number;
  minutes: number;
  rate: number | null;
  seconds_left: number | null;
  created_at: string;
  updated_at: string;
  finished_at: string | null;
  request: string | null;
  size: number;
  duration: number | null;
  folder: string | null;
  outbox: string;
  source_id: string | null;
  reason: string | null;
  cause: string | null;
  results_expire_at: string | null;
  actions: Record<Verb, boolean> & { cancel: boolean };
  tasks: Task[];
}

interface TrackFile {
  number: number;
  title: string;
  label: string;
  type: string;
  task: number;
  name: string;
  size: number;
  content_type: string;
  playable: boolean;
  url: string;
}

interface SourceFile {
  url: string;
  name: string;
  size: number;
  content_type: string;
  playable: boolean;
}

interface JobDetails extends Job {
  steps: { step: string; title: string; at: string; task: string | null }[];
  notice: { tone: string; title: string; text: string | null } | null;
  task_titles: string[];
  /** What the button of a release says. */
  release?: string;
  charges: { at: string; task: number; task_id: string | null; minutes: number }[];
  to_do: string | null;
  warnings: string[];
  facts: Facts;
  quotes: Record<Verb, Quote | null>;
  media: { tracks: TrackFile[]; zip: string | null; zip_size: number | null; source: SourceFile | null };
}

type Verb = "retry" | "redo" | "release";

/** What a person was shown before money is spent; it goes back unchanged. */
interface Quote {
  id: number;
  path: string;
  hold: string | null;
  minutes: number | null;
  what: string;
}

/** What is asked before money is spent. */
interface Quotes {
  jobs: Quote[];
  title: string;
  label: string;
  notes: string[];
  minutes: number;
  unknown: number;
  refused: { id: number; code: string; message: string }[];
}

interface Result {
  id: number;
  accepted: boolean;
  code: string;
  message: string;
  quote: Quote | null;
  new_job: number | null;
}

interface Explained {
  taken: boolean;
  rule: string | null;
  minutes: number | null;
  summary: string | null;
  says: { tone: string; text: string }[];
  exists: boolean;
  known_job: number | null;
  may_be_free: boolean;
  minutes_left: number | null;
}

interface RemoteUpload {
  id: string;
  inbox: string;
  path: string;
  size: number;
  offset: number;
  fingerprint: string | null;
  expires_at: string;
}

interface Rule {
  name: string;
  lines: string[];
}

interface InboxConfig {
  path: string;
  facts: Facts;
  rules: Rule[];
}

interface Config {
  inboxes: InboxConfig[];
  limits: Facts;
}

interface Plan {
  rules: { inbox: string; rule: string; new: number; waiting: number; held: number; minutes: number; unknown: number }[];
  files: number;
  minutes: number;
  unknown: number;
  unfinished: number;
  left_alone: Record<string, number>;
  troubles: string[];
  first_scan_holds: Record<string, string>;
  minutes_left: number | null;
}

interface LogEvent {
  problem: boolean;
  id: number;
  at: string;
  event: string;
  title: string;
  message: string;
  hint: string | null;
  job: number | null;
  path: string | null;
  count: number;
}

interface Session {
  labels: Labels;
  auth: "password" | "none";
  version: string;
  uploads: boolean;
  can_spend: boolean;
}

/** What of a source sounds: `delay` seconds after the moment that was asked for, from `offset` in `buffer`, for `duration`. */
interface Part {
  buffer: AudioBuffer;
  delay: number;
  offset: number;
  duration: number;
}

/** Sound that can be read by range, in seconds. */
interface Source {
  duration: number;
  load(from: number, to: number): Promise<Part[]>;
}

/** A source in the mix. `lag`: seconds by which its sound comes later than the others'. */
interface Line {
  source: Source;
  output: AudioNode;
  lag: number;
}

interface Loop {
  from: number;
  to: number;
}

/** How one stem is set. */
interface Setting {
  volume: number;
  muted: boolean;
  solo: boolean;
}

/** A stem as the player shows it. */
interface Stem {
  name: string;
  url: string;
  size: number;
  extension: string;
}

/** The loudest samples of equal stretches of a stem. */
interface Peaks {
  values: Float32Array;
  add(buffer: AudioBuffer, at: number): void;
}

interface Waveform {
  canvas: HTMLCanvasElement;
  peaks: Peaks | null;
  progress(share: number): void;
  redraw(): void;
  close(): void;
}

/** Where a WAV file's sound is. `head`: its format chunk. `block`: bytes of a frame. */
interface WavFormat {
  head: Uint8Array;
  rate: number;
  block: number;
  start: number;
  length: number;
}

interface Timeline {
  duration: number;
  readonly position: number;
  state: "stopped" | "loading" | "playing" | "stalled";
  start(position: number): Promise<void>;
  stop(): void;
  seek(position: number): void;
  setLoop(loop: Loop | null): void;
}

/** Whole frames of the music. */
interface Stretch {
  from: number;
  to: number;
}

/** `fader` fades each start and stop. */
type MakeTimeline = (context: BaseAudioContext, lines: Line[], fader: GainNode, reports: Pick<Reports, "changed" | "trouble">) => Timeline;

/** `mine`: the number of a run. */
interface Scheduling {
  schedule(mine: number, from: number): Promise<void>;
  /** The frame after the music, and the one after the loop. */
  ends(): [number, number];
  /** The stretch from a frame to the next border, the loop's end or the end of the music. */
  cut(from: number): Stretch | null;
  /** All parts of a stretch; tried again until they are there. */
  load(mine: number, stretch: Stretch): Promise<Part[][]>;
  place(line: number, parts: Part[], at: number): void;
  fadeOut(): void;
  /** Until the context's clock has reached a moment. */
  rest(mine: number, moment: number): Promise<void>;
  pause(milliseconds: number): Promise<void>;
  become(state: Timeline["state"]): void;
}

interface Engines {
  isHeard(setting: Setting, all: Setting[]): boolean;
  openEngine(stems: Stem[], original: Stem | null, seconds: number | null, reports: Reports, signal: AbortSignal): Promise<Engine>;
  /** A gain node per stem and one for the original. */
  mixerOf(
    context: BaseAudioContext,
    stems: Source[],
    original: { source: Source; lag: number } | null,
    peaks: Peaks[],
    reports: Pick<Reports, "changed" | "trouble">,
  ): Engine & Timeline;
  /** One stem is heard at a time. */
  singleOf(stems: Stem[], original: Stem | null, reports: Reports): Engine;
}

type MakeWavSource = (context: BaseAudioContext, url: string, format: WavFormat, onDecoded: (buffer: AudioBuffer, at: number) => void) => Source;
type ReadRange = (url: string, from: number, to: number) => Promise<{ view: DataView; total: number }>;

/** A source, and its peaks as far as they are known. */
type OpenSource = (
  context: BaseAudioContext,
  stem: Stem,
  onProgress: (share: number) => void,
  onPeaks: () => void,
  signal?: AbortSignal,
) => Promise<{ source: Source; peaks: Peaks }>;

type MakePlayer = (stems: Stem[], original: Stem | null, seconds: number | null, key: string) => Player;

interface Playing {
  duration(): number;
  position(): number;
  canCompare(): boolean;
  toggle(): Promise<void>;
  seek(wanted: number): void;
  set(stem: number, changes: Partial<Setting>): void;
  /** Hears the original instead of the stems, or the stems again. */
  compare(): void;
  cycleLoop(): void;
  open(): Promise<void>;
  ready(opened: Engine): void;
  apply(): void;
  tick(): void;
  say(text?: string): void;
  trouble(error: any): void;
  drawPosition(): void;
  rowOf(stem: Stem, index: number): { element: HTMLElement; wave: Waveform; draw(): void };
  draw(): void;
  onKey(event: KeyboardEvent): boolean;
}

interface Player {
  element: HTMLElement;
  toggle(): Promise<void>;
  close(): void;
}

/** What plays. `isMixing` false: one stem is heard at a time. */
interface Engine {
  isMixing: boolean;
  hasOriginal: boolean;
  readonly duration: number;
  readonly position: number;
  readonly state: "stopped" | "loading" | "playing" | "stalled";
  peaks: Peaks[];
  play(): Promise<void>;
  pause(): void;
  seek(position: number): void;
  setLoop(loop: Loop | null): void;
  apply(settings: Setting[], hearsOriginal: boolean): void;
  close(): void;
}

/** What an engine reports to the player. */
interface Reports {
  progress(share: number): void;
  peaks(): void;
  changed(): void;
  trouble(error: unknown): void;
}

type Child = Node | string | number | null | undefined | boolean | Child[];

interface Props {
  [handler: `on${string}`]: ((event: any) => unknown) | undefined;
  [name: string]: any;
}

type ElementOf<Selector extends string> = Selector extends `${infer Tag}.${string}` ? ElementOf<Tag> : Selector extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Selector] : HTMLElement;

type Build = <Selector extends string>(selector: Selector, ...rest: [Props, ...Child[]] | Child[]) => ElementOf<Selector>;

/** Words of the program, by its codes. */
interface Labels {
  stages: Record<string, string>;
  holds: Record<string, string>;
  events: Record<string, string>;
}

interface MonthSum {
  month: string;
  rule: string | null;
  minutes: number;
}

/** Names and values; commands and paths stand between backquotes. */
type Facts = [string, string][];

interface Picked {
  file: File;
  path: string;
}

interface Upload {
  readonly file: File;
  readonly inbox: string;
  readonly path: string;
  readonly isActive: boolean;
  state: "waiting" | "sending" | "paused" | "lost" | "done" | "failed";
  sent: number;
  rate: number;
  error: any;
  run(): Promise<void>;
  pause(): void;
  cancel(): Promise<void>;
}

interface Sending {
  become(state: Upload["state"], error?: any): void;
  /** Creates it, and sends a piece. */
  send(signal: AbortSignal): Promise<void>;
  setback(error: any, signal: AbortSignal): Promise<void>;
  /** How far it has come, as the server knows it. */
  ask(): Promise<unknown>;
  whenGone(): Promise<void>;
}

interface Uploads {
  /** Tells a file from others after a reload. */
  fingerprint(file: File): string;
  /** Removes what the server has of an upload. */
  forget(id: string): Promise<unknown>;
  /** Runs waiting uploads, two at a time. */
  queueOf(changed: () => void): Queue;
  uploadOf(file: File, inbox: string, path: string, remote: RemoteUpload | undefined, changed: () => void): Upload;
}

interface Actions {
  /** Asks what it costs, asks the person, and leaves the request. True if anything was accepted. */
  act(verb: Verb, which: { ids: number[] } | { hold: string } | { state: string }, changed?: string): Promise<boolean>;
  cancel(ids: number[], what: string): Promise<boolean>;
  sayVerdict(results: Result[]): void;
  propose(verb: Verb, question: Quotes, changed?: string): Promise<boolean>;
  report(verb: Verb | "cancel", answer: { results: Result[]; daemon_running: boolean }): boolean | Promise<boolean>;
}

type Send = (verb: Verb, jobs: Quote[], key?: string, attempt?: number) => Promise<boolean>;

interface Needs {
  needsYou(cards: Card[], failed: number): Child;
  card(card: Card): HTMLElement;
  /** When paid results are lost. */
  expiry(at: string | null | undefined): Child;
  acceptFolder(folder: string): Promise<void>;
}

/** What needs a person. `which`: the jobs that the button is for. `others`: files that are not named. */
interface Card {
  key: string;
  tone: string;
  title: string;
  note?: string;
  at?: string | null;
  text?: string | null;
  hint?: string;
  files?: { id: number; path: string }[];
  others: number;
  expires_at?: string | null;
  folder?: string | null;
  verb?: Verb | null;
  label?: string;
  which: { ids: number[] } | { hold: string };
  view?: string;
}

interface Queue {
  uploads: Upload[];
  add(file: File, inbox: string, path: string, remote: RemoteUpload | undefined): void;
  resume(upload: Upload): void;
  remove(upload: Upload): Promise<void>;
}

interface Format {
  figure(number: number): string;
  /** "1 job", "2,500 jobs" */
  count(number: number, word: string): string;
  /** A price or a charge, rounded up to one decimal. */
  minutes(price: number | null | undefined): string;
  /** Minutes that may be spent, rounded down to one decimal. */
  free(left: number): string;
  /** A sum, and how many jobs of unknown price it does not include. */
  price(known: number, unknown: number): string;
  /** As on a player: 3:05, 1:02:03 */
  length(seconds: number | null | undefined): string;
  /** "20 s", "3 min", "2 h 5 min", "3 days" */
  span(seconds: number): string;
  size(bytes: number): string;
  /** What is known of a transfer: "3 MB/s · 20 s left" */
  pace(rate: number | null, left: number | null): string;
  ago(iso: string | null | undefined): string;
  until(iso: string): string;
  /** The hour today, else the day and the hour. */
  moment(time: string | number): string;
  /** Those of some facts that there are, in one line. */
  dots(...facts: (string | number | null | undefined | false)[]): string;
  baseName(path: string): string;
  /** With its slash; empty at the top. */
  folderOf(path: string): string;
  /** What cannot be seen is shown: control characters and those that reverse the direction of text. */
  visible(text: unknown): string;
}

interface Ui {
  /** It says nothing to a screen reader, so the text beside it must. */
  icon(name: string): Node;
  button(label: Child, onclick: (event: any) => unknown, classes?: string, props?: Props): HTMLButtonElement;
  link(view: string, ...label: Child[]): HTMLElement;
  /** A change of view moves to it. */
  heading(title: Child, ...beside: Child[]): HTMLElement;
  section(name: string, title: string, beside: Child, ...children: Child[]): HTMLElement;
  fileName(path: string): HTMLElement;
  jobLink(id: number, label: Child): HTMLElement;
  /** Four legs, the current one filled as far as it is. */
  journey(job: { stage: string; progress: number | null }): HTMLElement;
  capitalized(text: string): string;
  pill(state: string): HTMLElement;
  time(iso: string | null | undefined): Child;
  /**
   * Sentences of lalald, in which commands stand between backquotes. One that the page has a button for is called as the button is.
   * `release`: what the button for a release says here.
   */
  prose(text: string | null | undefined, release?: string): Child;
  /** A clause of lalald as a sentence. */
  sentence(text: string | null | undefined, release?: string): Child;
  says(found: Explained): Child;
  empty(title: string, ...children: Child[]): HTMLElement;
  /** What cannot be shown, and why. */
  failure(error: any, again?: () => unknown): HTMLElement;
  loading(): HTMLElement;
  facts(pairs: Facts): HTMLElement;
  /** `heads` with the class of their cells. */
  table(caption: string, heads: [Child, string?][], rows: { key?: unknown; cells: Child[] }[]): HTMLElement;
  /** A form whose fields take effect as they are changed. */
  filters(changed: (name: string, value: string) => void, ...fields: Child[]): HTMLElement;
  field(label: string, input: HTMLElement): HTMLElement;
  select(label: string, name: string, value: string, choices: string[][]): HTMLElement;
  /** A figure beside a heading. */
  total(number: number): Child;
}

interface Messages {
  /** A short message about what a button did; failures stay until they are dismissed. */
  say(text: string, hint?: string | null, kind?: string): void;
  sayError(error: any, others?: number): false;
  /** A question. `answers`: name, label, class; resolves with the name, empty where it was closed. */
  ask(title: string, body: Child, ...answers: string[][]): Promise<string>;
}

interface SkippedFile {
  path: string;
  size: number;
  reason: string;
}

/** Events: `status`, `job` (the one that is watched), `changed` (anything), `action` (what the daemon made of a request), `connection`. */
interface Live extends EventTarget {
  status: Status | null;
  job: JobDetails | null;
  isLost: boolean;
  lostAt: number;
  retryAt: number;
  start(): void;
  stop(): void;
  /** Follows one job too; null: none. */
  watch(job: number | null): void;
  /** Tries now, not at the end of the pause. */
  retry(): void;
}

/** `mine`: a connection, until another one is made. */
interface Connecting {
  rest(): void;
  connect(): Promise<void>;
  follow(mine: AbortController): Promise<never>;
  take(frame: string): void;
  become(status: Status, job: JobDetails | null): void;
  after(error: any, mine: AbortController): Promise<void>;
  poll(mine: AbortController): Promise<void>;
  dispatch(name: string, detail?: unknown): void;
}

interface Adding {
  /** Takes files from a drop anywhere in the window, or from a choice. */
  take(picked: Picked[]): void;
  pathOf(candidate: Candidate): string;
  isOpen(candidate: Candidate): boolean;
  isSendable(candidate: Candidate): boolean;
  /** Whether its content may have been paid for: its price is the highest that is possible. */
  isAtMost(candidate: Pick<Candidate, "found">): unknown;
  candidateRow(candidate: Candidate, remove: () => void): Child;
  /** Those of this browser. */
  uploads(): Child;
  uploadRow(upload: { id: string; path: string; size: number; offset: number }, words: string, trouble: Child, ...buttons: Child[]): HTMLElement;
}

/** What each address answers. */
interface Answers {
  "api/session": Session;
  "api/status": Status;
  "api/needs": { cards: Card[] };
  "api/jobs": { jobs: Job[]; next_before: number | null };
  "api/history": { months: MonthSum[] };
  "api/config": Config;
  "api/plan": Plan;
  "api/explain": Explained;
  "api/skipped": { files: SkippedFile[]; next_after: string | null };
  "api/log": { events: LogEvent[]; next_before: number | null };
  "api/uploads": { uploads: RemoteUpload[] };
  [job: `api/jobs/${number}`]: JobDetails;
}

type Get = <Path extends keyof Answers>(path: Path, params?: Record<string, unknown>, signal?: AbortSignal) => Promise<Answers[Path]>;

/** An answer that a view shows: `shown` gives its content, its failure, or that it loads. */
interface Shown<Value> {
  value: Value | null;
  error: unknown;
  load(): Promise<unknown>;
  shown(content: (value: Value) => Child): Child;
}

/** A list that grows at both ends. */
interface List<Item> {
  items: Item[] | null;
  search(): void;
  refresh(): void;
  shown(content: (items: Item[]) => Child): Child;
}

/** What a view gets. `parts` and `query`: the rest of its address. `signal` ends with it. */
interface Context {
  live: Live;
  session: Session;
  parts: string[];
  query: URLSearchParams;
  signal: AbortSignal;
  redraw(): void;
  answer<Path extends keyof Answers>(path: Path, params?: Record<string, unknown>): Shown<Answers[Path]>;
  list(path: "api/jobs", name: "jobs", filter: Record<string, string>, page: number, most: number): List<Job>;
  list(path: "api/log", name: "events", filter: Record<string, string>, page: number, most: number): List<LogEvent>;
}

/** Opened once; what it returns draws the content, again and again. */
type View = (context: Context) => () => Child;

/** A file before it is sent. `seconds`: null where the browser cannot tell, undefined until it has tried. */
interface Candidate {
  file: File;
  path: string;
  seconds: number | null | undefined;
  found: Explained | null;
  error: Error | null;
}

// Single functions, by their names.

type AnswersOf = (redraw: () => void, signal: AbortSignal) => Pick<Context, "answer" | "list">;
type Gathered = (work: () => unknown, signal: AbortSignal, milliseconds?: number) => () => void;
type Post = (path: string, body?: any, method?: string) => Promise<any>;
type Ask = (path: string, options?: RequestInit) => Promise<Response>;
type Enter = (found: Session) => void;
type Bars = (sums: MonthSum[]) => Child;
type Show = (parent: Element, ...children: Child[]) => void;
type SetOne = (element: any, name: string, value: any) => void;
type NodesOf = (children: any[]) => any[];
type Reconcile = (parent: Element, wanted: any[]) => void;
type Update = (here: any, next: any) => void;
type Dropped = (transfer: DataTransfer) => Promise<Picked[]>;
type Chosen = (list: FileList) => Picked[];
type Walk = (entry: any, folder: string) => Promise<Picked[]>;
type LengthOf = (file: File) => Promise<number | null>;
type Dates = (parts: Intl.DateTimeFormatOptions) => Intl.DateTimeFormat;
type Login = (root: HTMLElement) => Promise<Session>;
type LagOf = (stems: Source[], original: Source, rate: number) => Promise<number>;
type Mono = (sources: Source[], from: number, seconds: number, rate: number) => Promise<Float32Array>;
type Power = (samples: Float32Array) => number;
type Loudness = (setting: Setting) => number;
type WholeSource = (buffer: AudioBuffer) => Source;
type Fits = (stems: Stem[], seconds: number | null) => boolean;
type ContextFor = (stems: Stem[]) => Promise<AudioContext>;
type ReadAll = (answer: Response, onProgress: (share: number) => void) => Promise<ArrayBuffer>;
type Decoded = (context: BaseAudioContext, bytes: ArrayBuffer) => Promise<AudioBuffer>;
type IsWav = (stem: Stem) => boolean;
type ReadWavFormat = (url: string) => Promise<WavFormat>;
type FileOf = (format: Uint8Array, samples: DataView) => ArrayBuffer;
type Word = (view: DataView, at: number) => string;
type PeaksOf = (duration: number) => Peaks;
type WaveformOf = (seek: (share: number) => void) => Waveform;
type MoveTo = (name: string, value: string) => void;
type Planned = (plan: Plan) => Child;
type StemOf = (file: SourceFile | TrackFile, name: string) => Stem;
