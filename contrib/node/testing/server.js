'use strict';
// A supervisor for tests, without processes: it answers as SERVE.md says, and what its jobs do is scripted.

const { CODE, Fault, wrong } = require('./fault.js');
const { MAX_INPUT } = require('./input.js');
const { ScriptedJob } = require('./job.js');
const check = require('./parameters.js');
const { Wire } = require('./wire.js');
const { Supervisor } = require('../lib/supervisor.js');
const { version } = require('../package.json');

const MAX_REQUEST = 16 << 20; // bytes
const MAX_KEPT = 256 << 20; // bytes of all jobs together
const COMMON = ['base64', 'input', 'pty', 'keep', 'window', 'text', 'ready', 'kill-wait', 'pipeline'];
const IN_CGROUP = ['cgroup', 'freeze', 'limit', 'pressure', 'stat'];
const NEED_CGROUP = ['cpu_timeout', 'sample', 'delegate', 'pressure']; // parameters of spawn

/**
 * A scripted server. Commands that have no script are not there (code ENOENT).
 *
 *     const server = new ScriptedServer();
 *     server.command('make', { stdout: 'done\n' });
 *     server.command('cat', async (process) => { for await (const chunk of process.stdin) await process.write(chunk); });
 *     const { stdout } = await server.supervisor().run(['make', '-j8']);
 */
class ScriptedServer {
  #scripts = [];
  #refuse;
  #pid = 1000;

  /** What was spawned, as the parameters that came: in its order. */
  spawned = [];

  /**
   * containment: "cgroup" or "subreaper". cwd: the directory of jobs. env: their environment, if a job says nothing.
   * refuse(limit, value): why a limit cannot be had here; undefined: it can. features: what hello lists, if not all.
   */
  constructor({ containment = 'cgroup', cwd = process.cwd(), env = {}, refuse = () => undefined, features } = {}) {
    this.features = features ?? (containment === 'cgroup' ? [...COMMON, ...IN_CGROUP] : COMMON);
    this.containment = containment;
    this.cgroup = containment === 'cgroup' ? '/scripted' : null;
    this.cwd = cwd;
    this.env = env;
    this.#refuse = refuse;
  }

  /**
   * Scripts a command. The newest script that fits is taken.
   * @param {string | string[] | ((argv: string[], command: object) => boolean)} which the program, the whole argv, or a function
   * @param {object | Function} script {stdout, stderr, code, signal, after (ms), record}, or a function that is given a
   *   ScriptedProcess and returns such an object, or the exit status; {error: {code, errno, field}}: it cannot be started
   */
  command(which, script) {
    this.#scripts.unshift({ fits: matcher(which), script });
    return this;
  }

  /** Returns a Supervisor that talks to this server. */
  supervisor() {
    return new Supervisor({ channel: this.channel() });
  }

  /** Returns the wire to a new conversation, for the option `channel` of Supervisor. */
  channel() {
    const conversation = new Conversation(this);
    return conversation.wire;
  }

  /** Internal. */
  pid() {
    return ++this.#pid;
  }

  /** Internal: returns the script of a command. Fault: there is none, or it cannot be started. */
  scriptOf(command, field) {
    const argv = command.argv.map(String);
    const found = this.#scripts.find(({ fits }) => fits(argv, command));
    const script = found?.script ?? { error: { code: CODE.notFound, errno: 'ENOENT' } };
    if (typeof script === 'function') return script;
    const { error } = script;
    if (error) throw new Fault(error.code, error.message ?? `${argv[0]}: ${error.errno}`, { field, ...error, code: undefined });
    return played(script);
  }

  /** Internal: why a limit cannot be had. */
  refusal({ name, file, value }) {
    if (this.containment !== 'cgroup') return 'there is no cgroup';
    return this.#refuse(name === 'set' ? file : name, value);
  }
}

function matcher(which) {
  if (typeof which === 'function') return which;
  if (typeof which === 'string') return ([program]) => program === which;
  return (argv) => argv.length === which.length && argv.every((one, i) => one === which[i]);
}

function played(script) {
  return async () => {
    if (script.after) await new Promise((resolve) => { setTimeout(resolve, script.after); });
    return script;
  };
}

/** One conversation, on one wire. */
class Conversation {
  #server;
  #jobs = new Map(); // that have not ended
  #kept = new Map(); // that have ended, of which output is kept
  #last = 0;
  #greeted = false;
  #shutdown; // ids of those who wait for its end
  #ending = false;

  constructor(server) {
    this.#server = server;
    this.containment = server.containment;
    this.cgroup = server.cgroup;
    this.wire = new Wire({ line: (text) => this.#line(text), tooLong: () => this.#refuseLong(), end: () => this.#inputEnds() }, MAX_REQUEST);
  }

  pid() {
    return this.#server.pid();
  }

  tell(method, params) {
    this.wire.say({ jsonrpc: '2.0', method, params });
  }

  #refuseLong() {
    this.#fail(null, new Fault(CODE.tooLong, 'the request is too long'));
  }

  #line(text) {
    if (text.trim() === '' || this.#shutdown?.over) return;
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      this.#fail(null, new Fault(CODE.parse, error.message));
      return;
    }
    this.#message(message);
  }

  #message(message) {
    const fault = faultOf(message);
    if (fault) {
      this.#fail(idOf(message), fault);
      return;
    }
    const { id } = message;
    const answer = (result, error) => {
      if (id === undefined) return;
      if (error) this.#fail(id, error);
      else this.wire.say({ jsonrpc: '2.0', id, result });
    };
    try {
      this.#carryOut(message.method, message.params ?? {}, answer);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      answer(undefined, error);
    }
  }

  #fail(id, fault) {
    this.wire.say({ jsonrpc: '2.0', id, error: fault.sent });
  }

  #carryOut(method, params, answer) {
    const handler = HANDLERS[method];
    if (!handler) throw new Fault(CODE.noMethod, `no method ${method}`, { field: 'method' });
    if (this.#greeted === (method === 'hello')) throw new Fault(CODE.hello, 'hello comes first, once', { field: 'method' });
    if (typeof params !== 'object' || Array.isArray(params)) throw new Fault(CODE.invalidParams, 'the parameters are no object');
    handler(this, params, answer);
  }

  /** Returns the job that is named. Fault: there is none. */
  job(params) {
    const number = params.job === undefined ? 0 : check.integer(params.job, 'job');
    const job = this.#jobs.get(number);
    if (!job) throw new Fault(CODE.noJob, `no job ${number}`, { field: 'job' });
    return job;
  }

  needCgroup(field) {
    if (this.containment !== 'cgroup') throw new Fault(CODE.unsupported, 'there is no cgroup', field && { field });
  }

  hello({ versions }) {
    const numbers = Array.isArray(versions) || versions === undefined ? versions ?? [] : undefined;
    if (numbers === undefined) throw wrong('versions', 'it must be a list');
    if (!numbers.includes(1)) throw new Fault(CODE.hello, 'no common version', { field: 'versions' });
    this.#greeted = true;
    const cgroup = this.containment === 'cgroup';
    return {
      version: 1, server: `scripted ${version}`, pid: process.pid, containment: this.containment, containment_reason: null,
      cgroup: this.cgroup, controllers: cgroup ? ['cpu', 'memory', 'pids'] : [],
      features: this.#server.features, max_request: MAX_REQUEST, max_input: MAX_INPUT,
    };
  }

  spawn(params, answer) {
    if (this.#shutdown) throw new Fault(CODE.shuttingDown, 'shutting down');
    const checked = check.spawn(params);
    this.#refuseWithoutCgroup(checked);
    const limits = this.limitsOf(checked);
    const commands = this.#commandsOf(checked);
    this.#refuseTooMuchKept(checked.stdio ?? []);
    const job = new ScriptedJob(this, this.#last + 1, checked, limits);
    job.open(this.#cwdOf(checked.cwd));
    this.#last++;
    this.#server.spawned.push(params);
    this.#jobs.set(job.number, job);
    job.start(commands);
    const { number, pid, cgroup } = job;
    answer({ job: number, pid, cgroup, ...limits });
    job.run(commands);
  }

  #refuseTooMuchKept(stdio) {
    let kept = [...this.#jobs.values()].reduce((sum, job) => sum + job.keeps, 0);
    stdio.forEach(({ capture, pty }, i) => {
      kept += capture?.keep ?? pty?.keep ?? 0;
      if (kept > MAX_KEPT) throw new Fault(CODE.tooMany, 'too much is kept', { field: `stdio[${i}]` });
    });
  }

  #refuseWithoutCgroup(params) {
    if (this.containment === 'cgroup') return;
    const field = NEED_CGROUP.find((one) => params[one] && params[one].length !== 0)
      ?? (params.notify?.some((one) => one === 'oom' || one === 'limit') ? 'notify' : undefined)
      ?? (!params.best_effort && Object.keys(params.limits ?? {}).length > 0 ? 'limits' : undefined);
    if (field) this.needCgroup(field);
  }

  /** Returns the limits of a request: those that are enforced, and those that are not. */
  limitsOf({ limits, best_effort: bestEffort }) {
    const enforced = [];
    const unenforced = [];
    for (const limit of check.limits(limits)) {
      const reason = this.#server.refusal(limit);
      if (reason === undefined) enforced.push(limit);
      else if (bestEffort) unenforced.push({ name: limit.name, reason });
      else throw new Fault(CODE.limit, `${limit.name}: ${reason}`, { field: `limits.${limit.name}` });
    }
    return { limits: enforced, unenforced };
  }

  #commandsOf(params) {
    const shared = { env: params.env, env_update: params.env_update, cwd: params.cwd };
    const list = params.argv === undefined ? params.pipeline : [{ argv: params.argv, path: params.path }];
    return list.map((command, i) => {
      const cwd = this.#cwdOf(command.cwd ?? shared.cwd);
      const updates = [...(command.env ? [] : shared.env_update ?? []), ...(command.env_update ?? [])];
      const env = this.#envOf(command.env ?? shared.env, updates);
      const field = command.path ? 'path' : 'argv';
      const whole = { ...command, cwd, env };
      return { ...whole, script: this.#server.scriptOf(whole, params.argv === undefined ? `pipeline[${i}].${field}` : field) };
    });
  }

  #envOf(env, update) {
    const variables = Object.fromEntries(env ?? Object.entries(this.#server.env));
    for (const [name, value] of update) {
      if (value === null) delete variables[name];
      else variables[name] = value;
    }
    return variables;
  }

  #cwdOf(given) {
    const here = Buffer.from(this.#server.cwd);
    if (given === undefined) return here;
    const cwd = given[0] === 0x2f ? given : Buffer.concat([here, Buffer.from('/'), given]);
    return cwd;
  }

  /** A job has ended. */
  ended(job, end) {
    this.#jobs.delete(job.number);
    if (job.keeps > 0) this.#kept.set(job.number, job);
    this.tell('ended', end);
    queueMicrotask(() => this.#closeWhenDone()); // after the answers to who waits for this
  }

  list() {
    return { jobs: [...this.#jobs.values()].map((job) => job.stateNow()), kept: [...this.#kept.keys()] };
  }

  output(params, answer) {
    const { fd, offset, max, wait, text } = check.output(params);
    const job = this.#jobs.get(params.job) ?? this.#kept.get(params.job);
    if (!job) throw new Fault(CODE.noJob, 'nothing is kept of it', { field: 'job' });
    const capture = job.keeper(fd);
    if (!capture) throw wrong('fd', 'nothing is kept of it');
    const part = () => capture.part({ offset, max, text }, job.ended);
    const there = () => part().next > part().offset || capture.over;
    if (there() || wait === 0) answer(part());
    else this.#later(capture, wait, there, () => answer(part()));
  }

  #later(capture, wait, there, done) {
    const timer = setTimeout(() => { stop(); done(); }, wait * 1000);
    const stop = capture.watch(() => {
      if (!there()) return;
      clearTimeout(timer);
      stop();
      queueMicrotask(done);
    });
  }

  forget({ job: number }) {
    if (!this.#kept.delete(number)) throw new Fault(CODE.noJob, 'nothing is kept of it', { field: 'job' });
  }

  shutdown({ grace, signal }, answer) {
    const seconds = check.optional(grace, check.seconds, 'grace') ?? 0;
    const name = check.optional(signal, check.signal, 'signal');
    const again = this.#shutdown !== undefined;
    this.#shutdown ??= { answers: [], over: false };
    this.#shutdown.answers.push(answer);
    for (const job of [...this.#jobs.values()]) job.kill(name, again ? 0 : seconds);
    this.#closeWhenDone();
  }

  #inputEnds() {
    this.#ending = true;
    for (const job of [...this.#jobs.values()]) job.kill('SIGKILL', 0, 'owner-gone');
    this.#closeWhenDone();
  }

  #closeWhenDone() {
    if (this.#jobs.size > 0 || !(this.#ending || this.#shutdown)) return;
    if (this.#shutdown && !this.#shutdown.over) {
      this.#shutdown.over = true;
      for (const answer of this.#shutdown.answers) answer({});
    }
    this.wire.close();
  }
}

/** Returns what is wrong with a message that is no request; undefined: it is one. */
function faultOf(message) {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return new Fault(CODE.invalidRequest, 'no request');
  const { jsonrpc, id, method } = message;
  const field = jsonrpc !== '2.0' ? 'jsonrpc'
    : typeof method !== 'string' ? 'method'
      : id !== undefined && typeof id !== 'number' && typeof id !== 'string' ? 'id' : undefined;
  return field && new Fault(CODE.invalidRequest, `it has no ${field}`, { field });
}

/** Returns the id of a message that is no request, if it could be read. */
function idOf(message) {
  const id = message?.id;
  const readable = message?.method === undefined || typeof message.method === 'string';
  return readable && (typeof id === 'number' || typeof id === 'string') ? id : null;
}

/** Returns a handler of a method that is answered at once with what it returns. */
function atOnce(handler) {
  return (conversation, params, answer) => answer(handler(conversation, params) ?? {});
}

const HANDLERS = {
  hello: atOnce((conversation, params) => conversation.hello(params)),
  spawn: (conversation, params, answer) => conversation.spawn(params, answer),
  signal: (conversation, params, answer) => {
    const job = conversation.job(params);
    const deed = job.signalling(check.signal(params.signal), params.all ?? false);
    answer({});
    deed();
  },
  kill: (conversation, params, answer) => {
    check.optional(params.wait, check.flag, 'wait');
    const job = conversation.job(params);
    const grace = check.optional(params.grace, check.seconds, 'grace');
    const signal = check.optional(params.signal, check.signal, 'signal');
    if (params.wait) job.waits.push((end, killed) => answer({ ...end, killed: killed.slice(0, 100), killed_total: killed.length }));
    else answer({});
    job.kill(signal, grace);
  },
  freeze: atOnce((conversation, params) => withCgroup(conversation, params).freeze()),
  thaw: atOnce((conversation, params) => withCgroup(conversation, params).thaw()),
  limit: atOnce((conversation, params) => {
    const job = conversation.job(params);
    if (!params.best_effort) conversation.needCgroup();
    const limits = conversation.limitsOf(params);
    job.limits = [...job.limits, ...limits.limits];
    return limits;
  }),
  stat: atOnce((conversation, params) => conversation.job(params).stat()),
  mark: atOnce((conversation, params) => {
    const job = withCgroup(conversation, params);
    return { phase: job.mark(check.bytesOf(params.name, 'name')) };
  }),
  list: atOnce((conversation) => conversation.list()),
  wait: (conversation, params, answer) => { conversation.job(params).waits.push((end) => answer(end)); },
  input: (conversation, params, answer) => {
    const job = conversation.job(params);
    job.input(check.input(params), (fault) => answer({}, fault));
  },
  resize: (conversation, params, answer) => {
    const job = conversation.job(params);
    const { rows, cols } = check.resize(params);
    const deed = job.resizing(rows, cols);
    answer({});
    deed();
  },
  output: (conversation, params, answer) => conversation.output(params, answer),
  credit: (conversation, params, answer) => {
    const deed = conversation.job(params).crediting(params.fd ?? 1, check.credit(params.bytes));
    answer({});
    deed();
  },
  forget: atOnce((conversation, params) => conversation.forget(params)),
  detach: atOnce((conversation, params) => {
    conversation.job(params);
    throw new Fault(CODE.unsupported, 'there is no systemd');
  }),
  shutdown: (conversation, params, answer) => conversation.shutdown(params, answer),
};

function withCgroup(conversation, params) {
  const job = conversation.job(params);
  conversation.needCgroup();
  return job;
}

module.exports = { ScriptedServer };
