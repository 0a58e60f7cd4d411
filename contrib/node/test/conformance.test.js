'use strict';
// The conformance script, replayed over a pipe, as it says; what the client has (Node's stdio) are sockets.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { conversations, replay } = require('./conformance.js');
const { SCRIPT, temporaryDirectory, withEach } = require('./place.js');
const { superviseLocation } = require('../lib/location.js');
const { LineReader } = require('../lib/lines.js');

if (SCRIPT !== undefined) {
  withEach('the conformance script', async (supervisor, t, containment) => {
    for (const steps of conversations(SCRIPT, containment)) {
      await t.test(steps[0].conversation, async (t) => {
        const peer = new Peer(containment, temporaryDirectory(t));
        try {
          await replay(steps, peer);
        } finally {
          await peer.close();
        }
      });
    }
  });
}

// What cat reads goes through a pipe (in the background, where shells have some signals ignored); nobody but the server has its standard output open, so that its end is heard of.
const COMMAND = `exec 4>&1 5<&0
cat <&5 3>&- 4>&- 5<&- | { env --default-signal=INT,QUIT "$1" serve "--contain=$2" >&4 3>&- 4>&- 5<&-; echo $? >&3; } &
exec 1>&- 3>&- 4>&- 5<&-
wait`;

/** A server that reads from a pipe. */
class Peer {
  #lines = [];
  #wake = () => {};
  #shell;
  #status;
  #closed;

  constructor(containment, cwd) {
    const argv = ['-c', COMMAND, 'sh', superviseLocation(), containment];
    this.#shell = spawn('sh', argv, { cwd, stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
    this.#shell.stdin.on('error', () => {}); // it has ended
    const reader = new LineReader((line) => this.#take(line));
    this.#shell.stdout.on('data', (bytes) => reader.take(bytes)).on('end', () => this.#take(null));
    this.#status = once(this.#shell.stdio[3], 'data').then(([data]) => Number(data));
    this.#closed = once(this.#shell, 'close');
  }

  #take(line) {
    this.#lines.push(line);
    this.#wake();
  }

  write(text) {
    this.#shell.stdin.write(text);
  }

  end() {
    this.#shell.stdin.end();
  }

  async line() {
    while (this.#lines.length === 0) await new Promise((resolve) => { this.#wake = resolve; });
    return this.#lines.shift();
  }

  status() {
    return this.#status;
  }

  async close() {
    this.end();
    await this.#closed;
  }
}
