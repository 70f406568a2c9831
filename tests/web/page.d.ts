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
  task_titles: string[];
  charges: { at: string; task: number; task_id: string | null; minutes: number }[];
  to_do: string | null;
  warnings: string[];
  explanation: string;
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
  stays_held: string | null;
}

interface Quotes {
  jobs: Quote[];
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
  path: string;
  outcome: string;
  taken: boolean;
  reason: string;
  rule: string | null;
  duration: number | null;
  minutes: number | null;
  unknown: number;
  expected_hold: string | null;
  expected_hold_reason: string | null;
  duplicate_of: number | null;
  remarks: string[];
  exists: boolean;
  known_job: number | null;
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
  match: string[] | null;
  types: string;
  tasks: { title: string }[];
  track_titles: string[];
  output: string;
  duplicates: string;
  on_conflict: string;
  tracks: string[] | null;
  labels: Record<string, string> | null;
}

interface InboxConfig {
  path: string;
  outbox: string;
  existing: string;
  recursive: boolean;
  settle: string | number;
  on_success: string;
  done_dir: string;
  failed_dir: string;
  ignore: string[];
  rules: Rule[];
}

interface Config {
  inboxes: InboxConfig[];
  minutes: { reserve: number; per_file: number | null; per_day: number | null };
  license_key: string;
  notify: string[];
  path: string | null;
}

interface Plan {
  rules: { inbox: string; rule: string; new: number; waiting: number; held: number; minutes: number; unknown: number }[];
  files: number;
  minutes: number;
  unknown: number;
  unfinished: number;
  left_alone: Record<string, number>;
  troubles: string[];
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

type Peaks = import("../../lalald/web/static/player/waveform.js").Peaks;

/** What plays. `isMixing` false: one stem is heard at a time. */
interface Engine {
  isMixing: boolean;
  hasOriginal: boolean;
  readonly duration: number;
  readonly position: number;
  readonly state: "stopped" | "loading" | "playing" | "stalled";
  peaks: (Peaks | null)[];
  play(position?: number): Promise<void>;
  pause(): void;
  seek(position: number): void;
  setLoop(loop: Loop | null): void;
  apply(settings: Setting[], volume: number, originalHeard: boolean): void;
  close(): void;
}

/** What an engine reports to the player. */
interface Reports {
  progress(share: number): void;
  peaks(): void;
  changed(): void;
  trouble(error: Error): void;
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

interface SkippedFile {
  path: string;
  size: number;
  reason: string;
}

/** What each address answers. */
interface Answers {
  "api/session": Session;
  "api/status": Status;
  "api/jobs": { jobs: Job[]; next_before: number | null };
  "api/history": { months: { month: string; rule: string | null; minutes: number }[] };
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
  load(): Promise<void>;
  shown(content: (value: Value) => Child): Child;
}

/** A list that grows at both ends. */
interface List<Item> {
  items: Item[] | null;
  load(): Promise<void>;
  search(): void;
  refresh(): void;
  shown(content: (items: Item[]) => Child): Child;
}

/** What a view gets. `parts` and `query`: the rest of its address. `signal` ends with it. */
interface Context {
  live: import("../../lalald/web/static/live.js").Live;
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
