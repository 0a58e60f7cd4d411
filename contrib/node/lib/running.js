'use strict';
// A command that is run to its end, and what came of it.

const { AbortError, ExitError, MaxBufferError, SupervisorLost, TimeoutError } = require('./errors.js');
const { textLines } = require('./lines.js');
const { SPAWN_OPTIONS, isPipeline, refuseUnknown } = require('./parameters.js');
const { Collector } = require('./streams.js');
const { asBuffer, invalid } = require('./texts.js');

const RUN_OPTIONS = new Set([...SPAWN_OPTIONS, 'input', 'encoding', 'maxBuffer', 'check']);
for (const name of ['pty', 'notify', 'pressure', 'sample']) RUN_OPTIONS.delete(name);

const MAX_BUFFER = 100 * 1000 * 1000; // bytes of each output

/**
 * What `run` returns: a promise of the result, which is also an iteration over the lines of standard output.
 * @extends {Promise<object>}
 */
class Running extends Promise {
  #job;
  #lines;

  static get [Symbol.species]() {
    return Promise; // of then, which needs none of the below
  }

  /** Internal. */
  attach(job, lines) {
    this.#job = job;
    this.#lines = lines;
    return this;
  }

  /** Ends the job, as Job.kill does. The result follows, or the error. */
  kill(how) {
    return this.#job?.kill(how) ?? Promise.resolve(null);
  }

  /** Iterates over the lines of standard output ("stderr": of the other), from the first one; then throws what the promise does. */
  lines(options) {
    return this.#lines(options);
  }

  [Symbol.asyncIterator]() {
    return this.#lines();
  }
}

/**
 * Runs a job to its end.
 * @param {() => import('./supervisor.js').Supervisor} open gives the supervisor
 * @param {(supervisor: import('./supervisor.js').Supervisor) => unknown} close is called with it when the job has ended
 */
function startRun(open, argv, options, close = () => {}) {
  const run = new Run(argv, options);
  return run.start(open, close);
}

class Run {
  #argv;
  #options;
  #sinks;
  #overflow = false;
  #job;

  constructor(argv, options) {
    this.#argv = argv;
    this.#options = options;
    const most = options.maxBuffer ?? MAX_BUFFER;
    this.#sinks = [1, 2].map(() => new Collector(most, () => this.#tooMuch()));
  }

  start(open, close) {
    const done = this.#run(open, close);
    const running = new Running((resolve, reject) => { done.then(resolve, reject); });
    return running.attach(this.#job, (how) => this.#lines(running, how));
  }

  async #run(open, close) {
    let supervisor;
    try {
      refuseUnknown('run', this.#options, RUN_OPTIONS);
      if (this.#options.signal?.aborted) throw new AbortError(this.#options.signal.reason);
      supervisor = open();
      this.#job = supervisor.collect(this.#argv, this.#spawnOptions(), this.#sinks);
      return await this.#result();
    } finally {
      for (const sink of this.#sinks) sink.finish();
      if (supervisor) await close(supervisor);
    }
  }

  #spawnOptions() {
    const { input, encoding, maxBuffer, check, ...options } = this.#options;
    if (input !== undefined && options.stdin !== undefined) throw invalid('stdin', 'left out beside input', options.stdin);
    return { grace: 0, ...options, stdin: input === undefined ? options.stdin ?? 'ignore' : 'pipe' };
  }

  async #result() {
    try {
      const ended = this.#job.wait();
      this.#feed(this.#job.stdin);
      return this.#judge(await ended);
    } catch (error) {
      if (error instanceof AbortError) Object.assign(error, this.#output(), { record: this.#job.record });
      throw error;
    }
  }

  #feed(stdin) {
    const { input } = this.#options;
    if (stdin === null || input === undefined) return;
    stdin.on('error', () => {}); // the command need not read it all
    if (typeof input === 'string') stdin.end(input);
    else if (input instanceof Uint8Array) stdin.end(asBuffer(input));
    else pump(input, stdin);
  }

  #output() {
    const { encoding = 'utf8' } = this.#options;
    const [stdout, stderr] = this.#sinks.map((sink) => sink.value(encoding));
    return { stdout, stderr };
  }

  #judge({ code, signal, record, commands }) {
    const result = { code, signal, ...this.#output(), record };
    if (isPipeline(this.#argv)) result.commands = commands;
    const what = isPipeline(this.#argv) ? 'the pipeline' : String(this.#argv[0]);
    if (this.#overflow) throw new MaxBufferError(`${what} has written more than maxBuffer`, result, MAX_BUFFER_CODE);
    if (record.cause === 'timeout') {
      throw new TimeoutError(`${what} timed out after ${this.#options.timeout} ms`, result, { code: 'ETIMEDOUT', timedOut: true });
    }
    if (!record.exit) throw new SupervisorLost(record.error ?? 'it is not known how the command has ended');
    if (this.#options.check) this.#check(what, result);
    return result;
  }

  #check(what, result) {
    const { code, signal, record } = result;
    if (signal !== null) throw new ExitError(`${what} was ended by ${signal} (${record.cause})`, result);
    if (code !== 0) throw new ExitError(`${what} exited with ${code}`, result);
    if (this.#options.leftovers === 'fail' && record.leftovers_total) {
      throw new ExitError(`${what} has left ${record.leftovers_total} processes running`, result);
    }
  }

  #tooMuch() {
    if (this.#overflow) return;
    this.#overflow = true;
    this.#job.kill().catch(() => {});
  }

  async *#lines(running, { from = 'stdout' } = {}) {
    running.catch(() => {}); // it is thrown below
    const { encoding } = this.#options;
    const sink = this.#sinks[from === 'stderr' ? 1 : 0];
    let whole = false;
    try {
      yield* textLines(sink, encoding === 'buffer' ? 'utf8' : encoding);
      whole = true;
    } finally {
      if (!whole) await this.#job?.kill();
    }
    await running;
  }
}

const MAX_BUFFER_CODE = { code: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER' };

/** Writes all of a stream, or of another iterable, into standard input. What the source throws ends it. */
async function pump(input, stdin) {
  try {
    for await (const chunk of input) {
      if (stdin.destroyed) return;
      if (!stdin.write(chunk)) await drained(stdin);
    }
    stdin.end();
  } catch {
    stdin.end();
  }
}

function drained(stdin) {
  return new Promise((resolve) => {
    stdin.once('drain', resolve);
    stdin.once('close', resolve);
  });
}

module.exports = { startRun };
