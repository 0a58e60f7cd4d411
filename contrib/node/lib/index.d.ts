/// <reference types="node" />
// Run commands so that nothing they start can outlive them: the client of `supervise serve` for Node. See README.md.
// All times that go in are milliseconds, as everywhere in Node; those of records are seconds, and say so (_s).

import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { Exit, Hello, JobState, Limit, Phase, Record as JobRecord, Sample, Stat, Unenforced } from './record.js';

export * from './record.js';

/** What a program is given: text, or bytes that need not be UTF-8. */
export type Text = string | Uint8Array;

/** The command and its arguments. */
export type Argv = ReadonlyArray<Text | number>;

/** A command of a pipeline. What it does not say is that of the job. */
export interface Command {
  argv: Argv;
  /** Of the program, instead of argv[0]. */
  path?: Text;
  cwd?: string | URL | Uint8Array;
  env?: Environment;
  envUpdate?: EnvironmentUpdate;
}

/** Several commands: the output of each is the input of the next. */
export type Pipeline = ReadonlyArray<Command | Argv>;

/** Variables; undefined ones are left out. */
export type Environment = { readonly [name: string]: Text | undefined };

/** Changes to variables: null removes one. */
export type EnvironmentUpdate = { readonly [name: string]: Text | null | undefined };

/** The value of a limit, as the flags of `supervise run` have it: "1G", 1.5, "50%". */
export type LimitValue = string | number | boolean;

/** A signal: "SIGTERM", "TERM" or 15. */
export type Signal = string | number;

/** Limits by name. Where one cannot be had, LimitRefused has the reason and the fix. */
export interface LimitOptions {
  /** Bytes, or "512M". Swap is 0 then unless swapMax is given, and an OOM kill takes the whole job. */
  memoryMax?: LimitValue;
  memoryHigh?: LimitValue;
  memoryLow?: LimitValue;
  memoryMin?: LimitValue;
  swapMax?: LimitValue;
  oomGroup?: LimitValue;
  /** Processors: 1.5. */
  cpus?: LimitValue;
  cpuWeight?: LimitValue;
  cpuset?: LimitValue;
  cpusetMems?: LimitValue;
  /** Processes and threads. */
  pidsMax?: LimitValue;
  ioWeight?: LimitValue;
  ioMax?: LimitValue;
  /** Others, by the names of the flags, or systemd's: {TasksMax: 200}. */
  limits?: { readonly [name: string]: LimitValue };
  /** Limits that cannot be had are listed (unenforced), and refuse nothing. */
  bestEffort?: boolean;
}

/** A file that the supervisor opens for the job. The mode is "read" for stdin and "truncate" for others if not given. */
export interface StdioFile {
  file: string | URL | Uint8Array;
  mode?: 'read' | 'append' | 'create' | 'truncate';
}

/** So many of the last bytes are kept, at most 64 MiB, for Job.output. */
export interface StdioKeep {
  keep: number;
}

export type StdinOption = 'pipe' | 'ignore' | StdioFile;
export type StdoutOption = 'pipe' | 'ignore' | 'inherit' | StdioFile | StdioKeep;
export type StderrOption = StdoutOption | 'stdout';

/** What spawn and run both take. */
export interface CommonOptions extends LimitOptions {
  /** The working directory; that of this process if not given. */
  cwd?: string | URL | Uint8Array;
  /** All of the environment; process.env if not given. */
  env?: Environment;
  /** Changes to it. */
  envUpdate?: EnvironmentUpdate;
  /** Of the program, instead of argv[0]. */
  path?: Text;
  /** For people; the program's if not given. */
  name?: Text;
  /** The caller's own; they come back at the end. */
  tags?: { readonly [key: string]: string };
  /** Milliseconds after which the job ends; 0 and Infinity: there is no limit. */
  timeout?: number;
  /** Milliseconds of processor time of the whole job; the record's cause is "cpu-timeout" then. */
  cpuTimeout?: number;
  /** Milliseconds between killSignal and the kill, when a time is up or the AbortSignal is aborted. */
  grace?: number;
  /** Sent to every process when a time is up; "SIGTERM" if not given. */
  killSignal?: Signal;
  /** What becomes of processes that outlive the main process: "kill" if not given; with "fail" and check that is an error. */
  leftovers?: 'kill' | 'wait' | 'fail';
  /** The job gets the controllers for cgroups of its own. */
  delegate?: boolean;
  /** Aborting it ends the job; the error is an AbortError with the reason as cause. */
  signal?: AbortSignal;
  stdin?: StdinOption;
  stdout?: StdoutOption;
  stderr?: StderrOption;
  /** For all three that are not given, or a list of them. */
  stdio?: 'pipe' | 'ignore' | readonly [StdinOption, StdoutOption, StderrOption];
}

/** Options of Supervisor.spawn. stdin, stdout and stderr are "pipe" if not given; grace is 10,000. */
export interface SpawnOptions extends CommonOptions {
  /** Descriptors 0, 1 and 2 are a terminal, of this size (24 by 80); stdin types, and stdout is what is printed. */
  pty?: boolean | { rows?: number; cols?: number; keep?: number };
  /** More events to hear of. */
  notify?: ReadonlyArray<'descendants' | 'oom' | 'limit' | 'ready'>;
  /** PSI triggers, each an event: processes waited for stall milliseconds within window milliseconds. */
  pressure?: ReadonlyArray<{ resource: 'cpu' | 'memory' | 'io'; full?: boolean; stall: number; window: number }>;
  /** Milliseconds between events that tell what the job uses. */
  sample?: number;
}

/** Options of run. stdin is "ignore" if not given; grace is 0: when the time is up the job is killed. */
export interface RunOptions extends CommonOptions {
  /** What standard input is, at once or as it comes. */
  input?: string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>;
  /** Of stdout and stderr; "utf8" if not given. "buffer": they are Buffers. */
  encoding?: BufferEncoding | 'buffer';
  /** Bytes that each of stdout and stderr may have, 100,000,000 if not given; MaxBufferError if there are more. */
  maxBuffer?: number;
  /** Reject with an ExitError unless the command exits with 0. */
  check?: boolean;
}

/** Options of run without a supervisor. */
export interface RunAloneOptions extends RunOptions {
  /** That is to do it; else one is started for this, which takes some milliseconds. */
  supervisor?: Supervisor;
  /** The program `supervise`; else what SUPERVISE_BIN names, else `supervise` on PATH. */
  bin?: string;
  contain?: 'auto' | 'cgroup' | 'subreaper';
  /** More flags of `supervise serve`. */
  flags?: readonly string[];
}

/** What came of a command. */
export interface Result<Output = string> {
  /** The exit status; null if a signal ended it. */
  code: number | null;
  /** The signal that ended it. */
  signal: string | null;
  stdout: Output;
  stderr: Output;
  record: JobRecord;
  /** Of a pipeline, in its order. */
  commands?: CommandEnd[];
}

/** How a command of a pipeline has ended; exit is null if its end was not seen. */
export interface CommandEnd {
  pid: number;
  exit: Exit | null;
}

/** A run: a promise of its result, and an iteration over the lines of its standard output. Breaking off kills the job. */
export interface Running<Output = string> extends Promise<Result<Output>>, AsyncIterable<string> {
  /** Ends the job, as Job.kill does. The result follows, or the error. */
  kill(how?: KillOptions | Signal): Promise<Killed | null>;
  /** Iterates over the lines from the first one, without their ends; then throws what the promise does. */
  lines(options?: { from?: 'stdout' | 'stderr' }): AsyncGenerator<string, void, void>;
}

/**
 * Runs a command to its end, as execFile and execa do; when the promise is settled, everything that the command has started is
 * dead. The exit status rejects nothing, unless `check` is given.
 *
 * Rejects with CommandNotFound (code ENOENT), NotExecutable, LimitRefused, RequestError: nothing was started; TimeoutError,
 * AbortError, MaxBufferError, ExitError: the job was ended; SupervisorLost.
 */
export function run(argv: Argv | Pipeline, options: RunAloneOptions & { encoding: 'buffer' }): Running<Buffer>;
export function run(argv: Argv | Pipeline, options?: RunAloneOptions & { encoding?: BufferEncoding }): Running<string>;
export function run(argv: Argv | Pipeline, options?: RunAloneOptions): Running<string | Buffer>;

/** Options of a Supervisor. */
export interface SupervisorOptions {
  /** The program `supervise`; else what SUPERVISE_BIN names, else `supervise` on PATH. */
  bin?: string;
  /** How jobs are held; "auto": in a cgroup if it can be. */
  contain?: 'auto' | 'cgroup' | 'subreaper';
  /** More flags of `supervise serve`. */
  flags?: readonly string[];
  /** The supervisor's environment, and that of jobs; process.env if not given. */
  env?: NodeJS.ProcessEnv;
  /** Where the supervisor complains; "inherit" if not given. */
  stderr?: 'inherit' | 'ignore';
  /** Path of a socket at which a supervisor listens: none is started then. */
  socket?: string;
  /** The wire to a supervisor, such as that of a ScriptedServer. */
  channel?: Channel;
}

/** A wire to a supervisor. over is called once, after the last chunk. */
export interface Channel {
  start(handlers: { chunk(bytes: Buffer): void; over(error?: Error): void }): void;
  write(text: string): void;
  /** No more requests: all jobs end. */
  end(): void;
  destroy(): void;
  ref(): void;
  unref(): void;
}

/**
 * One supervisor for any number of jobs. When it is closed, or this program ends in whatever way (kill -9 too), all its jobs
 * end. While it has nothing to do it does not keep Node from exiting.
 */
export class Supervisor {
  /** Error with code ENOENT: there is no program. What else goes wrong with its start, the first request hears of. */
  constructor(options?: SupervisorOptions);
  /** What the supervisor is and can do. SupervisorLost. */
  hello(): Promise<Hello>;
  /** Starts a job, and returns it at once: "spawn" or "error" follow, and Job.wait tells too. TypeError: the options are wrong. */
  spawn(argv: Argv | Pipeline, options?: SpawnOptions): Job;
  /** Runs a command to its end, as the function run does. */
  run(argv: Argv | Pipeline, options: RunOptions & { encoding: 'buffer' }): Running<Buffer>;
  run(argv: Argv | Pipeline, options?: RunOptions & { encoding?: BufferEncoding }): Running<string>;
  run(argv: Argv | Pipeline, options?: RunOptions): Running<string | Buffer>;
  /** The jobs that have not ended, oldest first. */
  list(): Promise<JobState[]>;
  /** Ends all jobs, by a signal ("SIGTERM") and so many milliseconds before the kill if grace is given, and closes. */
  shutdown(options?: { grace?: number; signal?: Signal }): Promise<void>;
  /** Ends all jobs at once; resolves when everything is dead and every record was heard. */
  close(): Promise<void>;
  /** Closes, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a job has ended. */
export interface JobEnd {
  /** The exit status; null if a signal ended it. */
  code: number | null;
  signal: string | null;
  record: JobRecord;
  /** Of descriptors that were captured: bytes told, dropped, and kept. */
  output: Array<{ fd: number; bytes: number; dropped_bytes: number; kept_bytes?: number }>;
  /** Of a pipeline, in its order. */
  commands: CommandEnd[];
  tags: { [key: string]: string };
}

/** How a job is to be ended. */
export interface KillOptions {
  /** Milliseconds between the signal and the kill; 0 if not given. */
  grace?: number;
  /** Sent to every process; "SIGTERM" if not given. */
  signal?: Signal;
}

/** What a kill has ended: the first 100 processes, and how many they were (null: not known). */
export interface Killed {
  killed: Array<{ pid: number; comm: string; comm_base64?: string }>;
  killedTotal: number | null;
}

/** Output that was kept. */
export interface KeptOutput {
  /** Of the first byte here. */
  offset: number;
  /** The offset to go on with. */
  next: number;
  /** Bytes between the offset that was asked for and this one that are lost. */
  cut: number;
  /** Written so far. */
  bytes: number;
  data: Buffer;
  /** No byte will follow. */
  eof: boolean;
  /** The job has ended. */
  ended: boolean;
}

/** What the job has told when it became ready. */
export interface Ready {
  job: number;
  pid: number;
  status: string;
  time: string;
}

/** The events of a job, with what listeners are given. */
export interface JobEvents {
  /** It runs, and has a pid. */
  spawn: [];
  stopped: [{ job: number; pid: number; signal: string; time: string }];
  continued: [{ job: number; pid: number; time: string }];
  ready: [Ready];
  oom: [object];
  limit: [object];
  pressure: [object];
  sample: [{ job: number } & Sample];
  /** Another process of it has ended (notify: ["descendants"]). */
  descendant: [{ job: number; pid: number; main: false; code: number | null; signal: string | null; core: boolean; time: string }];
  /** The main process has ended; others may be alive. */
  exit: [code: number | null, signal: string | null];
  /** Nothing of it is alive. */
  ended: [JobEnd];
  /** The same, and its streams have ended. */
  close: [code: number | null, signal: string | null];
  /** It could not be started, was aborted, or the supervisor is lost. Thrown if nobody listens, and nobody waits for the job. */
  error: [Error];
}

/** A job of a Supervisor: one command and everything that it starts. It is used as a ChildProcess is. */
export class Job extends EventEmitter implements AsyncIterable<string> {
  private constructor();
  /** For its supervisor; undefined until "spawn". */
  readonly number: number | undefined;
  /** Of the main process; undefined until "spawn". */
  readonly pid: number | undefined;
  /** The program. */
  readonly spawnfile: string;
  readonly spawnargs: Argv | Pipeline;
  /** Exit status of the main process; null while it runs, or if a signal ended it. */
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  /** The job's cgroup directory; null without cgroups. */
  readonly cgroup: string | null;
  readonly limits: Limit[];
  readonly unenforced: Unenforced[];
  /** When the job has ended. */
  readonly record: JobRecord | null;
  /** null unless the option is "pipe". A write is done when all of it is in the job's pipe. */
  readonly stdin: Writable | null;
  /** null unless the option is "pipe". A job whose output is not read waits in its write, and holds up no other. */
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;

  /** Resolves when the job runs. Rejects as wait does. */
  started(): Promise<this>;
  /**
   * Resolves when nothing of the job is alive. CommandNotFound (code ENOENT), LimitRefused, RequestError: it was not started.
   * AbortError. SupervisorLost.
   */
  wait(): Promise<JobEnd>;
  /** Resolves when the job has told READY=1 (sd_notify(3)); notify must have "ready". JobGone: it has ended before. */
  ready(): Promise<Ready>;
  /** Iterates over the lines of an output, as text, without their ends. */
  lines(options?: { from?: 'stdout' | 'stderr'; encoding?: BufferEncoding }): AsyncGenerator<string, void, void>;
  [Symbol.asyncIterator](): AsyncGenerator<string, void, void>;
  /** Sends a signal to the main process; all: to every process. What has ended is left alone. */
  signal(signal: Signal, options?: { all?: boolean }): Promise<void>;
  /**
   * Ends all of the job: at once, or by a signal first if there is a grace. A signal alone is {signal, grace: 10000}, but SIGKILL
   * kills at once. Resolves when nothing is alive, to what was killed; to null if the job had ended, or that is not told.
   */
  kill(how?: KillOptions | Signal): Promise<Killed | null>;
  /** Stops every process, until thaw. JobGone, Unsupported. */
  freeze(): Promise<void>;
  /** Lets a frozen job go on. JobGone, Unsupported. */
  thaw(): Promise<void>;
  /** Changes limits. JobGone, Unsupported, LimitRefused. */
  limit(options: LimitOptions): Promise<{ limits: Limit[]; unenforced: Unenforced[] }>;
  /** What the job does and uses now. JobGone. */
  stat(): Promise<Stat>;
  /** Begins a phase, of which the record will tell what it used; resolves to the one that ends by it. JobGone, Unsupported. */
  mark(name: Text): Promise<Phase>;
  /** Sets the size of the job's terminal. JobGone, Unsupported. */
  resize(size: { rows: number; cols: number }): Promise<void>;
  /**
   * Output that is kept, of a running or of an ended job. fd: 1 if not given. offset: of the first byte that is wanted, the oldest
   * if not given; negative: that many before the end. max: bytes, 65,536 if not given. wait: milliseconds that the answer may
   * take until there is a byte, or the end. JobGone: nothing is kept.
   */
  output(options?: { fd?: number; offset?: number; max?: number; wait?: number }): Promise<KeptOutput>;
  /** Drops what is kept of the job, which has ended. JobGone. */
  forget(): Promise<void>;
  /** Hands the job to a systemd scope of its own, where it may outlive us. Nothing is heard of it any more. Unsupported. */
  detach(): Promise<{ unit: string; cgroup: string }>;
  /** Ends the job at once, and waits until nothing of it is alive. */
  [Symbol.asyncDispose](): Promise<void>;

  on<E extends keyof JobEvents>(event: E, listener: (...args: JobEvents[E]) => void): this;
  once<E extends keyof JobEvents>(event: E, listener: (...args: JobEvents[E]) => void): this;
  off<E extends keyof JobEvents>(event: E, listener: (...args: JobEvents[E]) => void): this;
}

/** The error object of JSON-RPC, as the supervisor sent it (protocol/SERVE.md has the codes). */
export class ProtocolError extends Error {
  private constructor();
  readonly code: number;
  readonly data: { field?: string; errno?: string };
}

/** The supervisor refused a request. What it was asked for has not happened. */
export class RequestError extends Error {
  protected constructor();
  /** Of the protocol, such as "spawn". */
  readonly method: string;
  /** The parameter that is wrong, such as "stdio[1].mode". */
  readonly field: string | undefined;
  /** An errno, such as "ENOENT", or one of Node's or ours: "ERR_INVALID_ARG_VALUE", "ERR_SUPERVISE_LIMIT". */
  readonly code: string;
  /** Negative, as in Node. */
  readonly errno?: number;
  /** "spawn make", as child_process has it. */
  readonly syscall?: string;
  /** The program, or the directory. */
  readonly path?: string;
  readonly spawnargs?: string[];
  readonly cause: ProtocolError;
}

/** There is no such program, interpreter, directory or file: `field` says which. code is "ENOENT". */
export class CommandNotFound extends RequestError {}
/** The program may not be executed, or is none. code is "EACCES". */
export class NotExecutable extends RequestError {}
/** A parameter is wrong: see `field`. */
export class InvalidRequest extends RequestError {}
/** A limit cannot be had here; the message has the reason and the fix. */
export class LimitRefused extends RequestError {}
/** It is not to be had with this containment, kernel or connection. */
export class Unsupported extends RequestError {}
/** The job has ended. code is "ESRCH". */
export class JobGone extends RequestError {}
/** A system call failed: `code` has the errno. */
export class SystemCallFailed extends RequestError {}

/** The supervisor has ended, and with it every job. code is "ERR_SUPERVISE_LOST", or the errno if it could not be started. */
export class SupervisorLost extends Error {
  private constructor();
  readonly code: string;
}

/** The caller's AbortSignal was aborted, and the job was ended: as child_process has it, with the reason as cause. */
export class AbortError extends Error {
  private constructor();
  readonly code: 'ABORT_ERR';
  readonly cause: unknown;
  /** What run had of it. */
  readonly stdout?: string | Buffer;
  readonly stderr?: string | Buffer;
  readonly record?: JobRecord | null;
}

/** The `timeout` was over, and the job was ended. */
export class TimeoutError extends Error {
  private constructor();
  readonly code: 'ETIMEDOUT';
  readonly timedOut: true;
  readonly signal: string | null;
  readonly stdout: string | Buffer;
  readonly stderr: string | Buffer;
  readonly record: JobRecord;
}

/** `check` was given, and the command did not exit with 0, or left processes, with leftovers "fail". */
export class ExitError extends Error {
  private constructor();
  /** The exit status, as execFile has it; null if a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string | Buffer;
  readonly stderr: string | Buffer;
  readonly record: JobRecord;
}

/** There was more output than `maxBuffer`, and the job was ended. */
export class MaxBufferError extends Error {
  private constructor();
  readonly code: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';
  readonly signal: string | null;
  readonly stdout: string | Buffer;
  readonly stderr: string | Buffer;
  readonly record: JobRecord;
}
