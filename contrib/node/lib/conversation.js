'use strict';
// The conversation with `supervise serve` (protocol/SERVE.md): requests, their answers, and what is told of jobs.

const { LineReader } = require('./lines.js');
const { SupervisorLost, requestError } = require('./errors.js');

/** The version of the protocol that is spoken here. */
const VERSION = 1;

/** Keeps the number of everything that is still to come, and with it Node: a supervisor that has nothing to do holds no program. */
class Conversation {
  #channel;
  #replies = new Map(); // by the number of the request
  #jobs = new Map(); // those that have not ended, by number
  #last = 0;
  #lost; // why nothing more will be heard
  #closing = false;
  #held = true;
  #over;
  #maxRequest = 1 << 20; // bytes, until the supervisor has said how many it takes

  /** Resolves when nothing more will be heard, and never rejects. */
  over = new Promise((resolve) => { this.#over = resolve; });

  /** What the supervisor said to hello: a promise. */
  hello;

  constructor(channel) {
    this.#channel = channel;
    const reader = new LineReader((line) => this.#line(line));
    channel.start({
      chunk: (bytes) => reader.take(bytes),
      over: (error) => this.#lose(goneBy(error)),
    });
    this.hello = this.request('hello', { versions: [VERSION] }, (result) => {
      this.#maxRequest = result.max_request ?? this.#maxRequest;
    });
    this.hello.catch(() => {}); // whoever asks for something hears of it
  }

  /** Why nothing more will be heard; undefined while the conversation goes on. */
  get lost() {
    return this.#lost;
  }

  /**
   * Asks for something. The answer is given to onresult before anything that the supervisor tells after it.
   * RequestError: it was refused. SupervisorLost.
   */
  request(method, params, onresult) {
    if (this.#lost) return Promise.reject(this.#lost);
    if (this.#closing) return Promise.reject(new SupervisorLost('the supervisor is closed'));
    const id = ++this.#last;
    const line = JSON.stringify({ jsonrpc: '2.0', id, method, params }) + '\n';
    if (line.length > this.#maxRequest / 3 && Buffer.byteLength(line) > this.#maxRequest) {
      return Promise.reject(tooLong(method, this.#maxRequest));
    }
    return new Promise((resolve, reject) => {
      this.#replies.set(id, { method, resolve, reject, onresult });
      this.#channel.write(line);
      this.#hold();
    });
  }

  /** Asks for something that is not answered. */
  tell(method, params) {
    if (!this.#lost && !this.#closing) this.#channel.write(JSON.stringify({ jsonrpc: '2.0', method, params }) + '\n');
  }

  /** Tells a job from now on of its notifications: job.told(method, params). */
  follow(number, job) {
    this.#jobs.set(number, job);
  }

  /** Tells a job no more. */
  forget(number) {
    this.#jobs.delete(number);
    this.#hold();
  }

  /** Ends the input, and with it all jobs; resolves when all records were heard. */
  close() {
    if (!this.#closing && !this.#lost) {
      this.#closing = true;
      this.#hold();
      this.#channel.end();
    }
    return this.over;
  }

  #hold() {
    const held = this.#replies.size > 0 || this.#jobs.size > 0 || this.#closing;
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#channel.ref();
    else this.#channel.unref();
  }

  #line(text) {
    if (this.#lost) return;
    try {
      this.#message(JSON.parse(text));
    } catch (error) {
      this.#lose(new SupervisorLost('the supervisor does not speak the protocol', error));
      this.#channel.destroy();
    }
  }

  #message(message) {
    if (typeof message !== 'object' || message === null || Array.isArray(message)) throw new TypeError('no message');
    if (message.method === undefined) {
      this.#answer(message);
      return;
    }
    const job = this.#jobs.get(message.params.job);
    if (message.method === 'ended') this.forget(message.params.job);
    job?.told(message.method, message.params);
  }

  #answer({ id, result, error }) {
    const reply = this.#replies.get(id);
    if (reply === undefined) return;
    this.#replies.delete(id);
    if (error) {
      reply.reject(requestError(reply.method, error));
    } else {
      reply.onresult?.(result);
      reply.resolve(result);
    }
    this.#hold();
  }

  #lose(error) {
    if (this.#lost) return;
    this.#lost = error;
    for (const { reject } of this.#replies.values()) reject(error);
    for (const job of this.#jobs.values()) job.lost(error);
    this.#replies.clear();
    this.#jobs.clear();
    this.#over();
  }
}

/** Returns the error for the end of the wire; a program that could not be started has its errno as code. */
function goneBy(error) {
  const lost = new SupervisorLost(error ? `the supervisor is gone: ${error.message}` : 'the supervisor is gone', error);
  if (typeof error?.syscall === 'string') lost.code = error.code;
  return lost;
}

function tooLong(method, most) {
  const data = { field: 'argv', errno: 'E2BIG' };
  return requestError(method, { code: -32002, message: `the request has more than ${most} bytes`, data });
}

module.exports = { Conversation };
