// The record of a job, and what else the supervisor tells. What is not known is null, never zero. Units are in the names:
// seconds end in _s, bytes in _bytes. protocol/record.schema.json explains each field.

/** How a process ended: by code or by signal, the other is null. */
export interface Exit {
  code: number | null;
  /** Such as "SIGKILL". */
  signal: string | null;
  /** A core was dumped. */
  core: boolean;
}

/** Processor time of the whole job. */
export interface Cpu {
  user_s: number | null;
  system_s: number | null;
  total_s: number | null;
  /** Of cpu.max, in which the job ran. */
  periods: number | null;
  /** In which it used up its quota. */
  throttled_periods: number | null;
  throttled_s: number | null;
}

/** How often the limits of memory were met (memory.events). */
export interface MemoryEvents {
  low: number | null;
  high: number | null;
  max: number | null;
  oom: number | null;
  oom_kill: number | null;
  oom_group_kill: number | null;
}

/** What memory was used for. */
export interface MemorySplit {
  anon_bytes: number | null;
  file_bytes: number | null;
  shmem_bytes: number | null;
  kernel_bytes: number | null;
}

/** What the whole job held. To size a limit by: sampled_max. */
export interface Memory {
  /** Page cache included. */
  peak_bytes: number | null;
  swap_peak_bytes: number | null;
  events: MemoryEvents | null;
  events_local: MemoryEvents | null;
  at_peak: MemorySplit | null;
  sampled_max: MemorySplit | null;
}

/** Input and output of one block device. */
export interface DeviceIo {
  /** MAJOR:MINOR */
  device: string;
  read_bytes: number;
  write_bytes: number;
  read_ops: number;
  write_ops: number;
}

/** Input and output of the whole job, from and to block devices. */
export interface Io {
  read_bytes: number | null;
  write_bytes: number | null;
  read_ops: number | null;
  write_ops: number | null;
  devices: DeviceIo[] | null;
}

/** How long some, or all, processes waited for a resource. */
export interface Stall {
  some_s: number | null;
  full_s: number | null;
}

/** How long processes of the job waited (PSI). */
export interface Pressure {
  cpu: Stall;
  memory: Stall;
  io: Stall;
}

/** What happened between two marks. */
export interface Phase {
  /** Of the mark that began it; "" for what was before the first. */
  name: string;
  name_base64?: string;
  started: string;
  wall_s: number;
  cpu: Cpu;
  io: Io;
  pressure: Pressure;
  max_memory_bytes: number | null;
  max_anon_bytes: number | null;
}

/** A limit that was asked for, and is enforced. */
export interface Limit {
  name: string;
  /** Of the job's cgroup. */
  file: string;
  /** That was written to it. */
  value: string;
}

/** A limit that was asked for with bestEffort, and cannot be had. */
export interface Unenforced {
  name: string;
  reason: string;
}

/** A process that outlived the main process. */
export interface Leftover {
  pid: number;
  comm: string;
  comm_base64?: string;
  argv: string[] | null;
  argv_base64?: string[];
  argv_cut: boolean;
  age_s: number | null;
  rss_bytes: number | null;
}

/** How a job came to its end. */
export type Cause = 'exited' | 'signaled' | 'timeout' | 'cpu-timeout' | 'oom' | 'killed' | 'owner-gone' | 'start-failed';

/** The final word about a job. Times are RFC 3339, in UTC. Names that are not UTF-8 have their bytes in a field ..._base64. */
export interface Record {
  schema: string;
  version: string;
  name: string | null;
  name_base64?: string;
  argv: string[];
  argv_base64?: string[];
  /** Of the main process. */
  pid: number | null;
  cgroup: string | null;
  cgroup_base64?: string;
  containment: 'cgroup' | 'subreaper' | null;
  containment_reason: string | null;
  started: string;
  /** Nothing of the job was alive any more. */
  ended: string;
  wall_s: number;
  /** Of the main process; null: not known. */
  exit: Exit | null;
  cause: Cause;
  cpu: Cpu;
  memory: Memory;
  io: Io;
  pids: { peak: number | null; max_hits: number | null };
  pressure: Pressure;
  main: {
    max_rss_bytes: number | null;
    minor_faults: number | null;
    major_faults: number | null;
    voluntary_switches: number | null;
    involuntary_switches: number | null;
  };
  /** A process of the job was killed for want of memory; null: not known. */
  oom_killed: boolean | null;
  oom: { by: 'job' | 'ancestor' | 'outside' | 'machine' | 'systemd-oomd'; cgroup: string | null; kills: number | null } | null;
  /** Processes whose end was waited for. */
  reaped: number;
  phases: Phase[] | null;
  limits: Limit[];
  unenforced: Unenforced[];
  /** Alive when the main process ended, 100 of them at most. */
  leftovers: Leftover[] | null;
  leftovers_total: number | null;
  /** What went wrong on the supervisor's side. */
  error: string | null;
}

/** What a job uses at one moment. */
export interface Sample {
  time: string;
  wall_s: number;
  cpu: unknown;
  memory: unknown;
  io: unknown;
  pids: unknown;
  pressure: unknown;
}

/** An entry of Supervisor.list. */
export interface JobState {
  job: number;
  pid: number;
  name: string;
  name_base64?: string;
  tags: { [key: string]: string };
  state: 'running' | 'waiting' | 'stopping' | 'killing';
  frozen: boolean;
  cgroup: string | null;
  cgroup_base64?: string;
  started: string;
}

/** What a job does and uses now. */
export interface Stat extends JobState {
  /** null: there is no cgroup. */
  sample: Sample | null;
  /** Live processes, the first 1,000; null: not known. */
  procs: number[] | null;
}

/** What the supervisor said to hello. */
export interface Hello {
  version: number;
  server: string;
  pid: number;
  containment: 'cgroup' | 'subreaper';
  /** Why jobs are held in this place; null: it is the only one, or was named. */
  containment_reason: string | null;
  cgroup: string | null;
  controllers: string[];
  features: string[];
  /** Bytes. */
  max_request: number;
  /** Bytes that may wait for a job. */
  max_input: number;
}
