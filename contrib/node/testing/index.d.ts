// For tests of programs that use this package: a supervisor that starts no processes. See README.md.

import { Channel, Supervisor } from '../lib/index.js';

/** What a scripted command comes to. */
export interface ScriptedEnd {
  stdout?: string | Uint8Array;
  stderr?: string | Uint8Array;
  /** The exit status; 0 if not given. */
  code?: number;
  /** That ends it, such as "SIGSEGV". */
  signal?: string;
}

/** A command that ends so, after some milliseconds; or that cannot be started, by an error of the protocol. */
export interface ScriptedCommand extends ScriptedEnd {
  after?: number;
  error?: { code: number; errno?: string; field?: string; message?: string };
}

/** What a command does. It returns its end, or its exit status; never: it runs until it is killed (process.forever()). */
export type Script = (process: ScriptedProcess) => Promise<ScriptedEnd | number | void> | ScriptedEnd | number | void;

/** What a matcher is asked about. */
export interface AskedCommand {
  argv: Buffer[];
  path?: Buffer;
  /** Names and values, each byte a character (latin1). */
  env: { [name: string]: string };
  cwd: Buffer;
}

/** A supervisor without processes: it answers as SERVE.md says. Commands that have no script are not there (ENOENT). */
export class ScriptedServer {
  constructor(options?: {
    containment?: 'cgroup' | 'subreaper';
    /** The directory of jobs. */
    cwd?: string;
    /** Their environment, if a job says nothing. */
    env?: NodeJS.ProcessEnv;
    /** Why a limit cannot be had here; undefined: it can. */
    refuse?: (limit: string, value: string) => string | undefined;
    /** What hello lists, if not all. */
    features?: readonly string[];
  });
  readonly containment: 'cgroup' | 'subreaper';
  /** The parameters of each spawn, as they came. */
  readonly spawned: Array<{ argv?: unknown[]; [name: string]: unknown }>;
  /** Scripts a command: by its program, its whole argv, or a function. The newest script that fits is taken. */
  command(which: string | readonly string[] | ((argv: string[], command: AskedCommand) => boolean), script: ScriptedCommand | Script): this;
  /** A Supervisor that talks to this server. */
  supervisor(): Supervisor;
  /** The wire to a new conversation, for the option channel of Supervisor. */
  channel(): Channel;
}

/** A process of a scripted job, which is none. */
export class ScriptedProcess {
  private constructor();
  readonly pid: number;
  readonly argv: string[];
  readonly argvBytes: Buffer[];
  readonly path?: Buffer;
  /** Names and values, each byte a character (latin1). */
  readonly env: { [name: string]: string };
  readonly cwd: Buffer;
  /** Standard input: read() resolves to a Buffer, or to null at the end. */
  readonly stdin: AsyncIterable<Buffer> & { read(): Promise<Buffer | null>; close(): void };
  /** Another descriptor that the owner writes to; undefined: there is none. */
  input(fd: number): ScriptedProcess['stdin'] | undefined;
  readonly alive: boolean;
  /** Aborted when the process has ended. */
  readonly ended: AbortSignal;
  /** Of the terminal; undefined: there is none. */
  readonly terminal: { rows: number; cols: number } | undefined;
  /** Writes to a descriptor (1), and resolves when the owner has room for it. */
  write(data: string | Uint8Array, fd?: number): Promise<void>;
  /** Calls back when a signal comes, instead of what it does else. null: it is ignored. */
  trap(signal: string, callback: ((signal: string) => void) | null): this;
  /** Says READY=1, as sd_notify(3) does. */
  ready(status?: string): void;
  /** Starts another process of the job, which lives until it is killed, or its exit is called. */
  fork(argv?: readonly string[]): ScriptedProcess;
  /** Exits with a status. */
  exit(code?: number): void;
  /** Is ended by a signal. */
  die(signal: string): void;
  /** Never resolves. */
  forever(): Promise<never>;
}
