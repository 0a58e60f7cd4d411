'use strict';
// What a script has in its hands: one process of a job, which is none.


// What these do to a process that has not said otherwise is nothing.
const IGNORED = new Set(['SIGCHLD', 'SIGURG', 'SIGWINCH', 'SIGCONT']);
const STOPPING = new Set(['SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU']);

/** A process of a scripted job. */
class ScriptedProcess {
  #host;
  #traps = new Map();
  #ended = new AbortController();

  /** Internal. */
  constructor(host, { pid, argv, path, env, cwd, stdin, stdout, inlets }) {
    this.#host = host;
    /** Its pid, which is made up. */
    this.pid = pid;
    /** The command. */
    this.argv = argv.map(String);
    /** The same as bytes. */
    this.argvBytes = argv;
    /** The program, as bytes, if that is not argv[0]. */
    this.path = path;
    /** Its environment: names and values, each byte a character (latin1). */
    this.env = env;
    /** Its working directory, as bytes. */
    this.cwd = cwd;
    /** Standard input: iterate over it, or read(), which resolves to a Buffer, or to null at the end. */
    this.stdin = stdin;
    this.#stdout = stdout;
    this.#inlets = inlets;
    this.alive = true;
    this.stopped = false;
  }

  #stdout;
  #inlets;

  /** Another descriptor that the owner writes to, as stdin; undefined: there is none. */
  input(fd) {
    return fd === 0 ? this.stdin : this.#inlets?.get(fd);
  }

  /** An AbortSignal that is aborted when the process has ended, for what the script has to put away. */
  get ended() {
    return this.#ended.signal;
  }

  /** The size of the terminal, {rows, cols}; undefined: there is none. */
  get terminal() {
    return this.#host.terminal;
  }

  /** Writes text or bytes to a descriptor, and resolves when that is taken: not before the owner has room for it. */
  async write(data, fd = 1) {
    if (!this.alive) return;
    const bytes = typeof data === 'string' ? Buffer.from(data) : Buffer.from(data);
    if (fd === 1 && this.#stdout) await this.#stdout(bytes);
    else await this.#host.write(fd, bytes);
  }

  /** Calls back when a signal comes, such as "SIGTERM", instead of what it does else. null: it is ignored. */
  trap(signal, callback) {
    this.#traps.set(signal.startsWith('SIG') ? signal : `SIG${signal}`, callback ?? (() => {}));
    return this;
  }

  /** Says READY=1, as sd_notify(3) does. */
  ready(status = '') {
    if (this.alive) this.#host.ready(this, status);
  }

  /** Starts another process of the job, which lives until it is killed, or exit is called; returns it. */
  fork(argv = this.argv) {
    return this.#host.fork(argv.map((one) => Buffer.from(one)));
  }

  /** Exits with a status. */
  exit(code = 0) {
    this.end({ code, signal: null, core: false });
  }

  /** Is ended by a signal. */
  die(signal) {
    this.end({ code: null, signal, core: false });
  }

  /** Never resolves: the script goes on until its process is killed. */
  forever() {
    return new Promise(() => {});
  }

  /** Internal: a signal comes. */
  receive(signal) {
    if (!this.alive) return;
    if (signal === 'SIGKILL') this.die(signal);
    else if (signal === 'SIGCONT') this.#continue();
    else if (this.#traps.has(signal)) this.#traps.get(signal)(signal);
    else if (STOPPING.has(signal)) this.#stop(signal);
    else if (!IGNORED.has(signal)) this.die(signal);
  }

  #stop(signal) {
    if (signal !== 'SIGSTOP' || this.stopped) return; // the others do nothing to a session without a terminal
    this.stopped = true;
    this.#host.stopped(this, signal);
  }

  #continue() {
    if (!this.stopped) return;
    this.stopped = false;
    this.#host.continued(this);
  }

  /** Internal. */
  end(exit) {
    if (!this.alive) return;
    this.alive = false;
    this.exitStatus = exit;
    this.#ended.abort();
    this.#host.exited(this, exit);
  }
}


module.exports = { ScriptedProcess };
