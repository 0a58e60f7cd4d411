'use strict';
// Standard input of a scripted job.

const { CODE, Fault } = require('./fault.js');

const PIPE = 64 * 1024; // bytes that are in the job's pipe before it reads
const MAX_INPUT = 1 << 20; // bytes that may wait for the job

/** A pipe that the method "input" writes to. */
class Inlet {
  #chunks = [];
  #bytes = 0; // that were not read
  #ended = false;
  #closed = false;
  #answers = []; // of requests that wait until theirs is in the pipe: {answer, left}
  #readers = [];

  /** Takes input; answer(fault | undefined) is called when it is in the pipe. */
  write(bytes, eof, answer) {
    if (this.#closed || this.#ended) return answer(brokenPipe());
    if (this.#bytes + bytes.length > MAX_INPUT) return answer(new Fault(CODE.tooMany, 'too much input waits', { field: 'data' }));
    if (bytes.length > 0) this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    this.#ended ||= eof;
    this.#answers.push({ answer, before: this.#bytes });
    this.#settle();
    return undefined;
  }

  /** Resolves to the next bytes; to null at the end. */
  read() {
    return new Promise((resolve) => {
      this.#readers.push(resolve);
      this.#settle();
    });
  }

  /** Nobody will read any more. */
  close() {
    this.#closed = true;
    for (const { answer } of this.#answers.splice(0)) answer(brokenPipe());
    for (const resolve of this.#readers.splice(0)) resolve(null);
  }

  #settle() {
    while (this.#readers.length > 0 && (this.#chunks.length > 0 || this.#ended || this.#closed)) {
      const chunk = this.#chunks.shift() ?? null;
      this.#bytes -= chunk?.length ?? 0;
      for (const one of this.#answers) one.before -= chunk?.length ?? 0;
      this.#readers.shift()(chunk);
    }
    while (this.#answers.length > 0 && this.#answers[0].before <= PIPE) this.#answers.shift().answer();
  }

  async *[Symbol.asyncIterator]() {
    for (let chunk; (chunk = await this.read()) !== null; ) yield chunk;
  }
}

function brokenPipe() {
  return new Fault(CODE.system, 'the job has closed its end', { field: 'fd', errno: 'EPIPE' });
}

/** Standard input that is a file, or nothing. */
class FixedInput {
  #bytes;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  async read() {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes?.length > 0 ? bytes : null;
  }

  close() {}

  async *[Symbol.asyncIterator]() {
    for (let chunk; (chunk = await this.read()) !== null; ) yield chunk;
  }
}

module.exports = { FixedInput, Inlet, MAX_INPUT };
