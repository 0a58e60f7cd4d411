'use strict';

const NEVER_MS = 2 ** 31 - 1;

/** Both ends of a conversation within one program: what one says the other hears a turn of the event loop later. */
class Wire {
  #handlers; // {line, tooLong, end} of the server
  #most;
  #owner; // {chunk, over}
  #begun = ''; // of a line
  #skipping = false; // the rest of a line that is too long
  #said = [];
  #turns = []; // what is to be done in the next turn
  #closed = false;
  #hold; // a timer that keeps Node alive

  /** @param {object} handlers of the server  @param {number} most bytes of a request, its newline included */
  constructor(handlers, most) {
    this.#handlers = handlers;
    this.#most = most;
  }

  // The owner's end: a channel, see lib/channel.js.

  start(owner) {
    this.#owner = owner;
    this.ref();
  }

  write(text) {
    this.#next(() => this.#take(text));
  }

  end() {
    this.#next(() => { if (!this.#closed) this.#handlers.end(); });
  }

  destroy() {
    this.end();
  }

  ref() {
    this.#hold ??= setInterval(() => {}, NEVER_MS);
  }

  unref() {
    clearInterval(this.#hold);
    this.#hold = undefined;
  }

  #take(text) {
    const lines = text.split('\n');
    lines.forEach((part, i) => {
      if (!this.#skipping) this.#begun += part;
      const last = i === lines.length - 1;
      this.#bound(last);
      if (!last) this.#lineEnds();
    });
  }

  #bound(unfinished) {
    const most = this.#most - (unfinished ? 0 : 1);
    if (this.#skipping || this.#begun.length <= most / 4 || Buffer.byteLength(this.#begun) <= most) return;
    this.#skipping = true;
    this.#begun = '';
  }

  #lineEnds() {
    const line = this.#begun;
    const skipped = this.#skipping;
    this.#begun = '';
    this.#skipping = false;
    if (this.#closed) return;
    if (skipped) this.#handlers.tooLong();
    else this.#handlers.line(line);
  }

  // The server's end.

  say(message) {
    if (this.#closed) return;
    this.#said.push(`${JSON.stringify(message)}\n`);
    if (this.#said.length === 1) this.#next(() => this.#deliver());
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#next(() => {
      this.#deliver();
      this.unref();
      this.#owner.over();
    });
  }

  #deliver() {
    const all = this.#said.join('');
    this.#said = [];
    if (all !== '') this.#owner.chunk(Buffer.from(all));
  }

  #next(turn) {
    this.#turns.push(turn);
    if (this.#turns.length === 1) setImmediate(() => this.#turn());
  }

  #turn() {
    const turns = this.#turns;
    this.#turns = [];
    for (const turn of turns) turn();
  }
}

module.exports = { Wire };
