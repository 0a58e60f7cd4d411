'use strict';
// A scripted job: what SERVE.md says of one, with scripts in place of processes.

const { CODE, Fault } = require('./fault.js');
const { FixedInput, Inlet } = require('./input.js');
const { Capture, FileEnd } = require('./outputs.js');
const { NO_USAGE, phaseOf, recordOf, sampleOf, timeOf, told } = require('./record.js');
const { ScriptedProcess } = require('./process.js');

const BAR = Buffer.from('|');
const CTRL_C = 3;
const CTRL_D = Buffer.from([4]); // the end-of-file character
const DEFAULT_GRACE_S = 10;
const MAX_MARKS = 1000;
const MOST_TOLD = 100; // processes that are listed

/** A job of a ScriptedServer. */
class ScriptedJob {
  pid;
  exit = null;
  cause = 'exited';
  phases = [];
  leftovers = [];
  reaped = 0;
  state = 'running';
  frozen = false;
  ended = false;
  terminal;
  waits = []; // called with what ended says
  #server;
  #processes = new Set(); // alive
  #main = []; // the commands: one, or those of a pipeline
  #fds = new Map(); // Capture or FileEnd, by descriptor
  #captures = [];
  #inlets = new Map(); // by descriptor
  #stdin;
  #timers = new Set();
  #phase = { name: Buffer.alloc(0), started: 0 };
  #held = []; // what is to happen after thaw
  #ready = false;
  #killed = [];

  constructor(server, number, params, limits) {
    this.#server = server;
    this.number = number;
    this.params = params;
    this.tags = params.tags;
    this.argv = params.argv ?? params.pipeline.flatMap(({ argv }, i) => (i === 0 ? argv : [BAR, ...argv]));
    this.name = params.name ?? Buffer.from(this.argv[0].toString('latin1').split('/').pop() || 'job', 'latin1');
    this.containment = server.containment;
    this.cgroup = server.containment === 'cgroup' ? `${server.cgroup}/${number}` : null;
    this.limits = limits.limits;
    this.unenforced = limits.unenforced;
  }

  /** Opens its descriptors. Fault: a file is not there. */
  open(cwd) {
    const entries = [...(this.params.stdio ?? [])];
    while (entries.length < 3) entries.push({ null: true });
    entries.forEach((entry, fd) => this.#open(fd, entry, cwd));
    this.#stdin ??= this.#inlets.get(0) ?? new FixedInput(null);
  }

  #open(fd, entry, cwd) {
    if (entry.pty) this.#openTerminal(entry.pty);
    else if (entry.input) this.#inlets.set(fd, new Inlet());
    else if (entry.file && fd === 0) this.#stdin = new FixedInput(readWhole(new FileEnd(entry, cwd, 'stdio[0]')));
    else if (entry.file) this.#fds.set(fd, new FileEnd(entry, cwd, `stdio[${fd}]`));
    else if (entry.capture) this.#capture(fd, entry.capture);
    else if (entry.dup !== undefined) this.#fds.set(fd, this.#fds.get(entry.dup));
  }

  #openTerminal(spec) {
    if (this.terminal) return;
    this.terminal = { rows: spec.rows ?? 24, cols: spec.cols ?? 80 };
    this.#inlets.set(0, new Inlet());
    this.#capture(1, { limit: spec.keep ? 0 : -1, keep: spec.keep, window: spec.window, text: spec.text });
    this.#fds.set(2, this.#fds.get(1));
  }

  #capture(fd, spec) {
    const capture = new Capture(fd, spec, (output) => this.tell('output', output));
    this.#fds.set(fd, capture);
    this.#captures.push(capture);
  }

  /** Begins its scripts; commands: [{script, argv, env, cwd}], each the input of the next. */
  start(commands) {
    this.started = Date.now();
    this.#phase.started = this.started;
    const pipes = commands.slice(1).map(() => new Inlet());
    this.#main = commands.map((command, i) => this.#make({
      ...command, inlets: this.#inlets, stdin: pipes[i - 1] ?? this.#stdin, stdout: pipes[i] && ((bytes) => into(pipes[i], bytes)),
    }));
    this.pid = this.#main.length > 1 ? this.#server.pid() : this.#main[0].pid;
    this.#main.forEach((process, i) => process.ended.addEventListener('abort', () => {
      pipes[i]?.write(Buffer.alloc(0), true, () => {});
      (pipes[i - 1] ?? this.#stdin).close();
    }));
    this.#limitTime();
  }

  /** Tells that it has started, and lets the scripts run. */
  run(commands) {
    this.tell('started', { pid: this.pid, ...told('name', this.name), time: timeOf(this.started) });
    this.#main.forEach((process, i) => { this.#play(process, commands[i].script); });
    if (this.params.sample) this.#every(this.params.sample, () => this.tell('sample', sampleOf(this, Date.now())));
  }

  async #play(process, script) {
    const end = await script(process);
    if (end?.stdout !== undefined) await process.write(end.stdout);
    if (end?.stderr !== undefined) await process.write(end.stderr, 2);
    if (end?.signal) process.die(end.signal);
    else process.exit(typeof end === 'number' ? end : end?.code ?? 0);
  }

  #make(command) {
    const process = new ScriptedProcess(this, { pid: this.#server.pid(), ...command });
    this.#processes.add(process);
    return process;
  }

  #limitTime() {
    const { timeout, cpu_timeout: cpuTimeout } = this.params;
    if (timeout) this.#after(timeout, () => this.#timeUp('timeout'));
    if (cpuTimeout) this.#after(cpuTimeout, () => this.#timeUp('cpu-timeout'));
  }

  #timeUp(cause) {
    const { signal = 'SIGTERM', grace = DEFAULT_GRACE_S } = this.params;
    this.#end(cause, signal, grace);
  }

  #after(s, callback) {
    const timer = setTimeout(callback, Math.min(s * 1000, 2 ** 31 - 1));
    this.#timers.add(timer);
  }

  #every(s, callback) {
    this.#timers.add(setInterval(callback, Math.max(1, s * 1000)));
  }

  /** Tells the owner something of this job. */
  tell(method, params) {
    this.#server.tell(method, { job: this.number, ...params });
  }

  // What processes do.

  write(fd, bytes) {
    return this.#fds.get(fd)?.write(bytes) ?? Promise.resolve();
  }

  ready(process, status) {
    if (this.#ready || !this.params.notify?.includes('ready')) return;
    this.#ready = true;
    this.tell('ready', { pid: process.pid, status, time: timeOf(Date.now()) });
  }

  fork(argv) {
    const process = this.#make({ argv, env: {}, cwd: this.#main[0].cwd, stdin: new FixedInput(null) });
    process.forked = Date.now();
    return process;
  }

  stopped(process, signal) {
    if (this.#main.includes(process)) this.tell('stopped', { pid: this.pid, signal, time: timeOf(Date.now()) });
  }

  continued(process) {
    if (this.#main.includes(process)) this.tell('continued', { pid: this.pid, time: timeOf(Date.now()) });
  }

  exited(process, exit) {
    this.#processes.delete(process);
    this.reaped++;
    if (!this.#main.includes(process)) this.#orphanExited(process, exit);
    else if (this.#main.every((one) => !one.alive)) this.#mainExited();
    if (this.#processes.size === 0) this.#finish();
  }

  #orphanExited(process, exit) {
    if (this.exit === null || !this.params.notify?.includes('descendants')) return;
    this.tell('exited', { pid: process.pid, main: false, ...exit, usage: NO_USAGE, time: timeOf(Date.now()) });
  }

  #mainExited() {
    const failed = this.#main.filter(({ exitStatus }) => exitStatus.code !== 0).pop() ?? this.#main[0];
    this.exit = failed.exitStatus;
    if (this.cause === 'exited' && this.exit.signal) this.cause = 'signaled';
    this.tell('exited', { pid: this.pid, main: true, ...this.exit, usage: NO_USAGE, time: timeOf(Date.now()) });
    const left = [...this.#processes];
    this.leftovers = left.slice(0, MOST_TOLD).map((process) => leftoverOf(process));
    if (this.params.leftovers === 'wait') this.state = 'waiting';
    else for (const process of left) process.receive('SIGKILL');
  }

  #finish() {
    if (this.ended) return;
    this.ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stdin.close();
    for (const inlet of this.#inlets.values()) inlet.close();
    for (const capture of this.#captures) capture.finish();
    for (const file of new Set(this.#fds.values())) file.close?.();
    const end = this.#endOf(Date.now());
    this.#server.ended(this, end);
    for (const callback of this.waits) callback(end, this.#killed);
  }

  #endOf(now) {
    if (this.phases.length > 0) this.phases.push(phaseOf(this.#phase.name, this.#phase.started, now));
    const end = { job: this.number, record: recordOf(this, now, this.record) };
    if (this.tags) end.tags = this.tags;
    if (this.#captures.length > 0) end.output = this.#captures.map((capture) => capture.end);
    if (this.params.argv === undefined) end.commands = this.#main.map(({ pid, exitStatus }) => ({ pid, exit: exitStatus }));
    return end;
  }

  // What the owner asks for.

  /** Returns what sends a signal: it is done after the answer. */
  signalling(signal, all) {
    if (!all && this.exit !== null) throw new Fault(CODE.noJob, 'the main process has ended', { field: 'job' });
    const whom = all ? [...this.#processes] : this.#main;
    const deed = () => { for (const process of whom) process.receive(signal); };
    return () => {
      if (this.frozen && signal !== 'SIGKILL') this.#held.push(deed);
      else deed();
    };
  }

  kill(signal = 'SIGTERM', grace = 0, cause = 'killed') {
    this.#end(cause, signal, grace);
  }

  #end(cause, signal, grace) {
    if (this.exit === null && this.cause === 'exited') this.cause = cause;
    this.thaw();
    const kill = () => {
      this.state = 'killing';
      this.#killed = [...this.#processes].map(({ pid, argv }) => ({ pid, comm: commOf(argv[0]) }));
      for (const process of [...this.#processes].reverse()) process.receive('SIGKILL');
    };
    if (!grace) {
      kill();
      return;
    }
    this.state = 'stopping';
    this.#after(grace, kill);
    for (const process of [...this.#processes]) process.receive(signal);
  }

  freeze() {
    this.frozen = true;
  }

  thaw() {
    this.frozen = false;
    for (const deed of this.#held.splice(0)) deed();
  }

  mark(name) {
    if (this.phases.length >= MAX_MARKS) throw new Fault(CODE.tooMany, 'too many marks');
    const now = Date.now();
    const phase = phaseOf(this.#phase.name, this.#phase.started, now);
    this.phases.push(phase);
    this.#phase = { name, started: now };
    return phase;
  }

  input({ fd, bytes, eof }, answer) {
    const inlet = this.#inlets.get(fd);
    if (!inlet) throw new Fault(CODE.invalidParams, `descriptor ${fd} is no input`, { field: 'fd' });
    if (this.terminal && fd === 0) this.#type(inlet, eof ? Buffer.concat([bytes, CTRL_D]) : bytes, answer);
    else inlet.write(bytes, eof, answer);
  }

  /** Types at the terminal: Ctrl-C is a signal. */
  #type(inlet, bytes, answer) {
    inlet.write(bytes.filter((byte) => byte !== CTRL_C), false, answer);
    if (bytes.includes(CTRL_C)) this.signalling('SIGINT', true)();
  }

  /** Returns what tells the job of the size. */
  resizing(rows, cols) {
    if (!this.terminal) throw new Fault(CODE.invalidParams, 'the job has no terminal', { field: 'job' });
    this.terminal = { rows, cols };
    return this.exit === null ? this.signalling('SIGWINCH', false) : () => {};
  }

  /** Returns what takes credit: it is done after the answer. */
  crediting(fd, bytes) {
    const capture = this.#fds.get(fd);
    if (!capture?.windowed) throw new Fault(CODE.invalidParams, 'there is no window', { field: 'fd' });
    return () => capture.credit(bytes);
  }

  /** Returns what keeps an output; undefined: nothing is kept of it. */
  keeper(fd) {
    return this.#captures.find((capture) => capture.fd === fd && capture.keep > 0);
  }

  /** Bytes that may be kept of its outputs. */
  get keeps() {
    return this.#captures.reduce((sum, { keep }) => sum + keep, 0);
  }

  stateNow() {
    return {
      job: this.number, pid: this.pid, ...told('name', this.name), tags: this.tags ?? {}, state: this.state, frozen: this.frozen,
      cgroup: this.cgroup, started: timeOf(this.started),
    };
  }

  stat() {
    const cgroup = this.containment === 'cgroup';
    const procs = cgroup ? [...this.#processes].map(({ pid }) => pid) : null;
    return { ...this.stateNow(), sample: cgroup ? sampleOf(this, Date.now()) : null, procs };
  }
}

function readWhole(file) {
  const bytes = file.read();
  file.close();
  return bytes;
}

function into(inlet, bytes) {
  return new Promise((resolve) => { inlet.write(bytes, false, resolve); });
}

function leftoverOf({ pid, argv, forked }) {
  return { pid, comm: commOf(argv[0]), argv, argv_cut: false, age_s: (Date.now() - forked) / 1000, rss_bytes: null };
}

function commOf(program) {
  return program.split('/').pop().slice(0, 15);
}

module.exports = { ScriptedJob };
