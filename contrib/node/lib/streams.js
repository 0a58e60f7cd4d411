'use strict';
// The standard streams of a job: what is written to it by the method "input", and what it is told by "output".

const { Readable, Writable } = require('node:stream');
const { WINDOW } = require('./stdio.js');
const { asBuffer } = require('./texts.js');

const LARGEST_INPUT = 256 * 1024; // bytes of one request; the supervisor takes 1 MiB (max_input)
const QUIET = new Set(['ESRCH', 'ERR_SUPERVISE_LOST']); // the job has ended, which is told elsewhere

/**
 * Standard input of a job. A write is done when all of it is in the job's pipe, so that a slow job slows its writer.
 * Errors: EPIPE: the job has closed its end.
 */
class Input extends Writable {
  #send;

  /** @param {(params: object) => Promise<unknown>} send makes the request "input" */
  constructor(send) {
    super({ highWaterMark: 64 * 1024, decodeStrings: true });
    this.#send = send;
  }

  _write(chunk, encoding, done) {
    this.#pieces(chunk).then(() => done(), (error) => this.#failed(error, done));
  }

  _writev(chunks, done) {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', done);
  }

  _final(done) {
    this.#send({ eof: true }).then(() => done(), () => done()); // who has closed it already has what it wants
  }

  async #pieces(chunk) {
    for (let start = 0; start < chunk.length; start += LARGEST_INPUT) {
      await this.#send({ data: asBuffer(chunk.subarray(start, start + LARGEST_INPUT)).toString('base64') });
    }
  }

  #failed(error, done) {
    if (QUIET.has(error.code)) this.destroy(); // then it is no event
    done(asWriteError(error));
  }
}

function asWriteError(error) {
  if (error.code !== 'EPIPE') return error;
  return Object.assign(new Error('write EPIPE', { cause: error }), { code: 'EPIPE', errno: -32, syscall: 'write' });
}

/**
 * An output of a job. The job waits in its write while more than a window of bytes is not taken here. Once destroyed, the
 * stream drops what still comes.
 */
class Output extends Readable {
  #credit;
  #owed = 0; // bytes that came, and were not given back

  /** @param {(bytes: number) => void} credit says that so many bytes were taken */
  constructor(credit) {
    super({ highWaterMark: 64 * 1024 });
    this.#credit = credit;
  }

  /** Takes what the job has written. */
  deliver(bytes) {
    this.#owed += bytes.length;
    if (this.destroyed) this.#give();
    else this.push(bytes);
  }

  /** Ends the stream: nothing more will come. */
  finish() {
    if (!this.destroyed) this.push(null);
  }

  _read() {
    if (this.#owed >= WINDOW / 4) this.#give();
  }

  _destroy(error, done) {
    this.#give();
    done(error);
  }

  #give() {
    if (this.#owed === 0) return;
    this.#credit(this.#owed);
    this.#owed = 0;
  }
}

/** Collects an output in memory, for a run. */
class Collector {
  chunks = [];
  bytes = 0;
  ended = false;
  #most;
  #overflow;
  #waiting = new Set();

  /** @param {number} most bytes  @param {() => void} overflow is called once, when there are more */
  constructor(most, overflow) {
    this.#most = most;
    this.#overflow = overflow;
  }

  deliver(bytes) {
    const room = this.#most - this.bytes;
    if (bytes.length > room) this.#overflow();
    const taken = bytes.subarray(0, Math.max(0, room));
    if (taken.length === 0) return;
    this.bytes += taken.length;
    this.chunks.push(taken);
    this.#wake();
  }

  finish() {
    this.ended = true;
    this.#wake();
  }

  /** Returns what came: text, or a Buffer for the encoding "buffer". */
  value(encoding) {
    const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks, this.bytes);
    return encoding === 'buffer' ? all : all.toString(encoding);
  }

  /** Iterates over all that came and comes. */
  async *[Symbol.asyncIterator]() {
    for (let next = 0; ; ) {
      while (next < this.chunks.length) yield this.chunks[next++];
      if (this.ended) return;
      await new Promise((resolve) => { this.#waiting.add(resolve); });
    }
  }

  #wake() {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

module.exports = { Collector, Input, Output };
