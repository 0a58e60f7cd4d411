'use strict';
// One supervisor for many jobs.

const { ProcessChannel, SocketChannel } = require('./channel.js');
const { Conversation } = require('./conversation.js');
const { AbortError } = require('./errors.js');
const { Job } = require('./job.js');
const { given, graceOf, originOf, refuseUnknown, signalName, spawnParameters, stdioOf } = require('./parameters.js');
const { startRun } = require('./running.js');

const OPTIONS = new Set(['bin', 'contain', 'flags', 'env', 'stderr', 'socket', 'channel']);

/**
 * A process `supervise serve`, which runs any number of jobs. When it is closed, or this program ends in whatever way (kill -9
 * too), all its jobs end. While it has nothing to do it does not keep Node from exiting.
 */
class Supervisor {
  #conversation;
  #channel;
  #origin;

  /**
   * Starts a supervisor. Options, all of them optional:
   *
   *   bin       the program; else what SUPERVISE_BIN names, else `supervise` on PATH
   *   contain   "cgroup", "subreaper", or "auto": cgroup if it can be
   *   flags     more flags of `supervise serve`
   *   env       its environment, and that of jobs; process.env if not given
   *   stderr    where its complaints go: "inherit" or "ignore"
   *   socket    path of a socket at which a supervisor listens: none is started then
   *   channel   the wire to a supervisor, such as that of a ScriptedServer
   *
   * Error with code ENOENT: there is no program. What else goes wrong with its start, the first request hears of.
   */
  constructor(options = {}) {
    refuseUnknown('Supervisor', options, OPTIONS);
    this.#channel = channelOf(options);
    if (options.socket === undefined) this.#origin = originOf(options.env ?? process.env);
    this.#conversation = new Conversation(this.#channel);
  }

  /** What the supervisor is: resolves to {version, server, pid, containment, containment_reason, cgroup, controllers, features}. */
  hello() {
    return this.#conversation.hello;
  }

  /**
   * Starts a job, and returns it at once; "spawn" or "error" follow, and Job.wait tells too. README.md has the options.
   * TypeError: they are wrong.
   * @param {ReadonlyArray<unknown>} argv the command and its arguments; or several commands, each the input of the next
   */
  spawn(argv, options = {}) {
    return this.#spawn(argv, options, { flow: true });
  }

  /**
   * Runs a command to its end, as `run` does.
   * @returns what `run` returns
   */
  run(argv, options = {}) {
    return startRun(() => this, argv, options);
  }

  /** Internal: starts a job whose outputs go to the sinks. */
  collect(argv, options, sinks) {
    return this.#spawn(argv, options, { flow: false, sinks });
  }

  #spawn(argv, { signal, ...options }, { flow, sinks }) {
    const stdio = stdioOf(options, { flow });
    const params = spawnParameters(argv, options, this.#origin, stdio.sent);
    const job = new Job(this.#conversation, argv, stdio, sinks);
    if (signal?.aborted) {
      job.lost(new AbortError(signal.reason));
      return job;
    }
    this.#begin(job, params, flow, { cwd: options.cwd });
    if (signal) job.abortBy(signal, { grace: options.grace, signal: options.killSignal });
    return job;
  }

  #begin(job, params, flow, paths) {
    this.#conversation.hello.then(({ features = [] }) => {
      const windowed = flow && features.includes('window');
      if (!windowed) params.stdio = params.stdio.map(withoutWindow);
      job.begin(params, windowed, paths);
    }, (error) => job.lost(error));
  }

  /** Resolves to the jobs that have not ended, oldest first. */
  async list() {
    return (await this.#conversation.request('list', {})).jobs;
  }

  /** Ends all jobs, by a signal (SIGTERM) and so many milliseconds before the kill if grace is given, and closes. */
  async shutdown({ grace, signal } = {}) {
    await this.#conversation.request('shutdown', given({ grace: graceOf(grace), signal: signalName(signal) }));
    await this.close();
  }

  /** Ends all jobs at once; resolves when everything is dead and every record was heard. */
  async close() {
    await this.#conversation.close();
  }

  /** Closes, at the end of `await using`. */
  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.close();
  }
}

function channelOf({ channel, socket, contain, flags = [], ...options }) {
  if (channel !== undefined) return channel;
  if (socket !== undefined) return new SocketChannel(socket);
  return new ProcessChannel({ ...options, flags: contain === undefined ? flags : [`--contain=${contain}`, ...flags] });
}

/** Returns an entry of stdio for a supervisor, or a job, without flow control of each output. */
function withoutWindow(entry) {
  for (const kind of ['capture', 'pty']) {
    if (entry[kind]?.window !== undefined) return { [kind]: given({ ...entry[kind], window: undefined }) };
  }
  return entry;
}

module.exports = { Supervisor };
