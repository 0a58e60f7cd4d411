'use strict';
// A job: one command and everything that it starts.

const { EventEmitter } = require('node:events');
const { Deferred } = require('./deferred.js');
const { AbortError, JobGone, SupervisorLost, asSpawnError } = require('./errors.js');
const { textLines } = require('./lines.js');
const { given, graceOf, limitsOf, refuseUnknown, signalName, LIMITS } = require('./parameters.js');
const { Input, Output } = require('./streams.js');
const { textOf } = require('./texts.js');

const DEFAULT_GRACE_MS = 10_000; // of kill by a signal alone
const LIMIT_OPTIONS = new Set([...Object.keys(LIMITS), 'limits', 'bestEffort']);
const GONE = -32004;

/**
 * A job of a Supervisor, which is used as a ChildProcess is. Events, in their order:
 *
 *   spawn                it runs, and has a pid
 *   stopped, continued   its main process was stopped, and runs again
 *   ready                it has told READY=1, if notify has "ready"
 *   oom, limit, pressure, sample   if they were asked for
 *   descendant           another process of it has ended, if notify has "descendants"
 *   exit (code, signal)  its main process has ended; others may be alive
 *   ended (end)          nothing of it is alive, and this is what wait resolves to
 *   close (code, signal) the same, and its streams have ended
 *   error (error)        it could not be started, was aborted, or the supervisor is lost
 *
 * An error is thrown if nobody listens to "error" and nobody waits for the job.
 */
class Job extends EventEmitter {
  #conversation;
  #spawned = new Deferred();
  #ended = new Deferred();
  #ready = new Deferred();
  #waited = false; // somebody hears of an error by a promise
  #failure; // what wait is to reject with when the job has ended
  #sinks; // of the descriptors 0, 1, 2 that are told
  #cleanup = () => {};

  /** The job's number, for its supervisor; undefined until "spawn". */
  number;
  /** Of the main process; undefined until "spawn". After its end the number may be another's. */
  pid;
  /** Exit status of the main process; null while it runs, or if a signal ended it. */
  exitCode = null;
  /** The signal that ended the main process, such as "SIGKILL"; null if none did. */
  signalCode = null;
  /** The job's cgroup directory; null without cgroups. */
  cgroup = null;
  /** Limits that are enforced: {name, file, value}. */
  limits = [];
  /** Limits that cannot be had, with bestEffort: {name, reason}. */
  unenforced = [];
  /** The record, when the job has ended. */
  record = null;

  /** Not to be called: see Supervisor.spawn. */
  constructor(conversation, argv, stdio, sinks) {
    super();
    this.#conversation = conversation;
    this.spawnargs = argv;
    this.stdin = stdio.input ? new Input((params) => this.#call('input', params)) : null;
    this.#sinks = [null, ...stdio.outputs.map((told, i) => (told ? sinks?.[i] ?? this.#output(i + 1) : null))];
    this.stdout = streamOf(this.#sinks[1]);
    this.stderr = streamOf(this.#sinks[2]);
    if (stdio.inherit) this.stdout.pipe(process.stdout, { end: false });
  }

  #output(fd) {
    return new Output((bytes) => {
      if (!this.#ended.settled && this.windowed) this.#conversation.tell('credit', { job: this.number, fd, bytes });
    });
  }

  /** What the job is called: the option name, or the program's. */
  get spawnfile() {
    return String(this.spawnargs[0]);
  }

  /** Resolves when the job runs: to the job. Rejects as wait does. */
  started() {
    this.#waited = true;
    return this.#spawned.promise;
  }

  /**
   * Resolves when nothing of the job is alive: to {code, signal, record, output, commands, tags}. The output need not be read
   * for that; but a job that waits for its reader does not end.
   * CommandNotFound (code ENOENT), RequestError: it was not started. AbortError. SupervisorLost.
   */
  wait() {
    this.#waited = true;
    return this.#ended.promise;
  }

  /** Resolves when the job has told READY=1, to {pid, status, time}; notify must have "ready". JobGone: it has ended before. */
  ready() {
    this.#waited = true;
    return this.#ready.promise;
  }

  /** Iterates over the lines of an output ("stdout" or "stderr"), as text. */
  lines({ from = 'stdout', encoding } = {}) {
    return textLines(this[from], encoding);
  }

  [Symbol.asyncIterator]() {
    return this.lines();
  }

  /** Sends a signal ("SIGINT", "INT" or 2) to the main process; all: to every process. What has ended is left alone. */
  async signal(signal, { all = false } = {}) {
    await this.#ifThere('signal', { signal: signalName(signal), all: all || undefined });
  }

  /**
   * Ends the job: all of it. With grace (milliseconds) by a signal (SIGTERM) to every process, and the kill after that. A signal
   * alone is {signal, grace: 10000}; "SIGKILL" kills at once. Resolves when nothing is alive, to what was killed:
   * {killed: [{pid, comm}], killedTotal}; to null if the job had ended already.
   */
  async kill(how = {}) {
    const { grace, signal } = typeof how === 'object' ? { ...how } : byName(how);
    const wait = (await this.#conversation.hello).features.includes('kill-wait');
    const result = await this.#ifThere('kill', { grace: graceOf(grace), signal: signalName(signal), wait: wait || undefined });
    if (!this.#ended.settled && this.number !== undefined) await this.#ended.promise.catch(() => {});
    if (!result?.killed) return null;
    return { killed: result.killed, killedTotal: result.killed_total ?? null };
  }

  /** Stops every process, until thaw. JobGone, Unsupported. */
  async freeze() {
    await this.#call('freeze');
  }

  /** Lets a frozen job go on. JobGone, Unsupported. */
  async thaw() {
    await this.#call('thaw');
  }

  /** Changes limits: limit({memoryMax: "1G"}). Resolves to {limits, unenforced}. JobGone, Unsupported, LimitRefused. */
  async limit(options) {
    refuseUnknown('limit', options, LIMIT_OPTIONS);
    return this.#call('limit', { limits: limitsOf(options), best_effort: options.bestEffort || undefined });
  }

  /** Resolves to what the job does and uses now. JobGone. */
  async stat() {
    return this.#call('stat');
  }

  /** Begins a phase, of which the record will tell what it used; resolves to the one that ends by it. JobGone, Unsupported. */
  async mark(name) {
    return (await this.#call('mark', { name: textOf(name) })).phase;
  }

  /** Sets the size of the job's terminal. Unsupported, JobGone. */
  async resize({ rows, cols }) {
    await this.#call('resize', { rows, cols });
  }

  /**
   * Returns output that is kept (stdout: {keep: bytes}), of a running or of an ended job.
   * offset: of the first byte that is wanted, the oldest if not given; negative: that many before the end. max: bytes.
   * wait: milliseconds that it may take until there is a byte, or the end.
   * Resolves to {offset, next, cut, bytes, data: Buffer, eof, ended}; next is the offset to go on with. JobGone: nothing is kept.
   */
  async output({ fd = 1, offset, max, wait } = {}) {
    const params = given({ fd, offset, max, wait: wait === undefined ? undefined : wait / 1000 });
    const result = await this.#call('output', params);
    return { ...result, data: bytesOf(result) };
  }

  /** Drops what is kept of the job, which has ended. JobGone. */
  async forget() {
    await this.#call('forget');
  }

  /** Hands the job to a systemd scope of its own, where it may outlive us: {unit, cgroup}. Nothing is heard of it any more. */
  async detach() {
    const result = await this.#call('detach');
    this.#conversation.forget(this.number);
    this.lost(new SupervisorLost('the job was detached'));
    return result;
  }

  /** Ends the job at once, and waits until nothing of it is alive. */
  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    this.#waited = true;
    await this.kill().catch(() => {});
  }

  /** Internal: sends the request. windowed: the supervisor has flow control for each output. */
  begin(params, windowed, paths) {
    this.windowed = windowed;
    this.#conversation.request('spawn', params, (result) => this.#begun(result))
      .catch((error) => this.lost(asSpawnError(error, this.spawnargs, paths)));
  }

  #begun(result) {
    this.number = result.job;
    this.pid = result.pid;
    this.cgroup = result.cgroup ?? null;
    this.limits = result.limits ?? [];
    this.unenforced = result.unenforced ?? [];
    this.#conversation.follow(result.job, this);
    this.#spawned.resolve(this);
  }

  /** Internal: has an AbortSignal end the job, by `how` as kill takes it. */
  abortBy(signal, how) {
    const abort = () => {
      this.#failure = new AbortError(signal.reason);
      this.kill(how).catch(() => {});
      this.#complain(this.#failure);
    };
    signal.addEventListener('abort', abort, { once: true });
    this.#cleanup = () => signal.removeEventListener('abort', abort);
  }

  /** Internal: takes a notification. What listeners throw is theirs, and is not taken for the supervisor's. */
  told(method, params) {
    if (method === 'output') {
      this.#sinks[params.fd]?.deliver(bytesOf(params));
      return;
    }
    try {
      this.#notified(method, params);
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
  }

  #notified(method, params) {
    if (method === 'started') {
      this.emit('spawn');
    } else if (method === 'exited') {
      this.#exited(params);
    } else if (method === 'ended') {
      this.#end(params);
    } else {
      if (method === 'ready') this.#ready.resolve(params);
      this.emit(method, params);
    }
  }

  #exited(params) {
    if (!params.main) {
      this.emit('descendant', params);
      return;
    }
    this.exitCode = params.code ?? null;
    this.signalCode = params.signal ?? null;
    this.emit('exit', this.exitCode, this.signalCode);
  }

  #end(params) {
    const { record } = params;
    this.record = record;
    const code = record.exit?.code ?? null;
    const signal = record.exit?.signal ?? null;
    const end = { code, signal, record, output: params.output ?? [], commands: params.commands ?? [], tags: params.tags ?? {} };
    this.#ready.reject(new JobGone('ready', { code: GONE, message: 'the job has ended before it was ready' }));
    this.#finish(end);
    this.emit('ended', end);
    this.#closeLater(code, signal);
  }

  #finish(end) {
    this.#cleanup();
    for (const sink of this.#sinks) sink?.finish();
    this.stdin?.destroy();
    if (this.#failure) this.#ended.reject(this.#failure);
    else this.#ended.resolve(end);
  }

  #closeLater(code, signal) {
    const open = [this.stdout, this.stderr].filter((stream) => stream && !stream.destroyed && !stream.readableEnded);
    let left = open.length;
    const closed = () => { if (left-- <= 1) this.emit('close', code, signal); };
    if (left === 0) process.nextTick(closed);
    for (const stream of open) stream.once('close', closed);
    for (const stream of open) if (stream.readableLength === 0) stream.resume(); // nobody need read that there is nothing
  }

  /** Internal: nothing more will be heard. */
  lost(error) {
    if (this.#ended.settled) return;
    this.#failure ??= error;
    this.#spawned.reject(error);
    this.#ready.reject(error);
    this.#finish();
    this.#complain(error);
  }

  #complain(error) {
    process.nextTick(() => {
      if (this.listenerCount('error') > 0 || !this.#waited) this.emit('error', error);
    });
  }

  async #call(method, params) {
    if (this.number === undefined) await this.#spawned.promise;
    return this.#conversation.request(method, { job: this.number, ...params });
  }

  /** Makes a request about a job that may have ended, which is then nothing to complain of. */
  async #ifThere(method, params) {
    if (this.#ended.settled) return undefined;
    try {
      return await this.#call(method, params);
    } catch (error) {
      if (error instanceof JobGone || (this.#ended.settled && error === this.#failure)) return undefined;
      throw error;
    }
  }
}

function byName(signal) {
  return signal === 'SIGKILL' || signal === 'KILL' || signal === 9 ? {} : { signal, grace: DEFAULT_GRACE_MS };
}

function bytesOf({ data, text }) {
  return typeof text === 'string' ? Buffer.from(text) : Buffer.from(data ?? '', 'base64');
}

function streamOf(sink) {
  return sink instanceof Output ? sink : null;
}

module.exports = { Job };
