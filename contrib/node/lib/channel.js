'use strict';
// The wire to `supervise serve`: a process that we start, or a socket at which one listens.
//
// A channel has: write(text), end() (no more requests: all jobs end), destroy(), ref(), unref(), and start(handlers), whose
// handlers are chunk(bytes) and over(error | undefined), which comes once and last.

const { spawn } = require('node:child_process');
const net = require('node:net');
const { superviseLocation } = require('./location.js');

/** A supervisor of our own. It is in a session of its own, so that Ctrl-C at our terminal does not reach it: it ends when we do. */
class ProcessChannel {
  #child;
  #stderr;

  /** Starts it. Error with code ENOENT: there is no program. */
  constructor({ bin, flags = [], env = process.env, stderr = 'inherit' }) {
    this.#stderr = stderr;
    this.#child = spawn(superviseLocation(bin), ['serve', ...flags], { env, detached: true, stdio: ['pipe', 'pipe', stderr] });
  }

  get pid() {
    return this.#child.pid;
  }

  start({ chunk, over }) {
    const child = this.#child;
    let failure;
    child.on('error', (error) => {
      failure = error;
      if (child.pid === undefined) over(error); // nothing else is heard of a process that was not started
    });
    child.stdin.on('error', () => {}); // it has ended, which its output tells
    child.stdout.on('error', () => {});
    child.stdout.on('data', chunk);
    child.on('close', (code, signal) => {
      if (child.pid !== undefined) over(failure ?? unlessZero(code, signal));
    });
  }

  write(text) {
    this.#child.stdin.write(text);
  }

  end() {
    this.#child.stdin.end();
  }

  destroy() {
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
  }

  ref() {
    for (const one of [this.#child, this.#child.stdin, this.#child.stdout]) one.ref();
  }

  unref() {
    for (const one of [this.#child, this.#child.stdin, this.#child.stdout]) one.unref();
  }
}

function unlessZero(code, signal) {
  return code === 0 ? undefined : new Error(`supervise ended with ${signal ?? `status ${code}`}`);
}

/** A connection to a supervisor that listens, as supervise.socket of systemd does. */
class SocketChannel {
  #socket;

  constructor(path) {
    this.#socket = net.connect(path);
  }

  start({ chunk, over }) {
    let failure;
    this.#socket.on('error', (error) => { failure = error; });
    this.#socket.on('data', chunk);
    this.#socket.on('close', () => over(failure));
  }

  write(text) {
    this.#socket.write(text);
  }

  end() {
    this.#socket.end();
  }

  destroy() {
    this.#socket.destroy();
  }

  ref() {
    this.#socket.ref();
  }

  unref() {
    this.#socket.unref();
  }
}

module.exports = { ProcessChannel, SocketChannel };
