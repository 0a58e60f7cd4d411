'use strict';
// What a scripted job writes to its descriptors.

const fs = require('node:fs');
const { CODE, Fault } = require('./fault.js');

const DEFAULT_LIMIT = 1 << 20; // bytes told
const LONGEST_CHARACTER = 4; // bytes
const OPEN_MODES = { read: 'r', append: 'a', create: 'wx', truncate: 'w' };

/** A file that a job has open. */
class FileEnd {
  constructor({ file, mode }, cwd, field) {
    try {
      this.fd = fs.openSync(at(cwd, file), OPEN_MODES[mode]);
    } catch (error) {
      const code = error.code === 'ENOENT' || error.code === 'ENOTDIR' ? CODE.notFound : CODE.system;
      throw new Fault(code, `${file}: ${error.message}`, { field, errno: error.code });
    }
  }

  async write(bytes) {
    fs.writeSync(this.fd, bytes);
  }

  read() {
    return fs.readFileSync(this.fd);
  }

  close() {
    fs.closeSync(this.fd);
  }
}

/** Returns a path from a directory. */
function at(cwd, file) {
  return file[0] === 0x2f ? file : Buffer.concat([cwd, Buffer.from('/'), file]);
}

/** An output that is captured: told, kept, or both. A write waits while the window is used up. */
class Capture {
  bytes = 0; // told
  written = 0;
  kept = Buffer.alloc(0);
  #rest = Buffer.alloc(0); // begun characters, for text
  #waiting = []; // writes
  #watchers = new Set();

  constructor(fd, spec, tell) {
    this.fd = fd;
    this.keep = spec.keep ?? 0;
    this.text = spec.text ?? false;
    this.windowed = (spec.window ?? 0) > 0;
    this.window = spec.window;
    this.room = this.windowed ? spec.window : Infinity;
    const usual = this.windowed ? -1 : this.keep > 0 ? 0 : DEFAULT_LIMIT;
    this.limit = spec.limit || usual;
    this.tell = tell;
    this.over = false;
  }

  /** Resolves when all was told or dropped. */
  write(bytes) {
    this.written += bytes.length;
    if (this.keep > 0) this.kept = Buffer.concat([this.kept, bytes]).subarray(-this.keep);
    this.changed();
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, resolve });
      this.#flush();
    });
  }

  /** Takes credit from the owner. */
  credit(bytes) {
    this.room = Math.min(this.window, this.room + bytes);
    this.#flush();
  }

  /** The job has ended: what is left is told without credit. */
  finish() {
    this.room = Infinity;
    this.#flush();
    if (this.#rest.length > 0) this.#say(this.#rest);
    this.over = true;
    this.changed();
  }

  #flush() {
    while (this.#waiting.length > 0 && this.room > 0) {
      const first = this.#waiting[0];
      const part = first.bytes.subarray(0, this.room);
      this.#tellPart(part);
      first.bytes = first.bytes.subarray(part.length);
      if (first.bytes.length > 0) return;
      this.#waiting.shift().resolve();
    }
  }

  #tellPart(part) {
    const most = this.limit < 0 ? Infinity : this.limit - this.bytes;
    const taken = part.subarray(0, Math.max(0, most));
    if (taken.length === 0) return;
    this.bytes += taken.length;
    this.room -= taken.length;
    this.#say(taken);
  }

  #say(bytes) {
    if (!this.text) {
      this.tell({ fd: this.fd, data: bytes.toString('base64') });
      return;
    }
    const all = bytes === this.#rest ? bytes : Buffer.concat([this.#rest, bytes]);
    const whole = bytes === this.#rest ? all.length : wholeCharacters(all);
    this.#rest = all.subarray(whole);
    if (whole > 0) this.tell({ fd: this.fd, ...asText(all.subarray(0, whole)) });
  }

  /** Returns the part of what is kept from an offset. */
  part({ offset, max, text }, ended) {
    const oldest = this.written - this.kept.length;
    const wanted = offset === undefined ? oldest : offset < 0 ? Math.max(0, this.written + offset) : Math.min(offset, this.written);
    const from = Math.max(wanted, oldest);
    const most = text ? Math.max(max, LONGEST_CHARACTER) : max;
    let bytes = this.kept.subarray(from - oldest, from - oldest + most);
    if (text) bytes = bytes.subarray(0, wholeCharacters(bytes) || bytes.length);
    const next = from + bytes.length;
    const data = text ? asText(bytes) : { data: bytes.toString('base64') };
    return { offset: from, next, cut: from - wanted, bytes: this.written, ...data, eof: this.over && next === this.written, ended };
  }

  /** Calls back once when there is more, or the end. */
  watch(callback) {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  changed() {
    for (const callback of [...this.#watchers]) callback();
  }

  get end() {
    const end = { fd: this.fd, bytes: this.bytes, dropped_bytes: Math.max(0, this.written - this.bytes - this.kept.length) };
    return this.keep > 0 ? { ...end, kept_bytes: this.kept.length } : end;
  }
}

/** Returns how many bytes are whole characters: an unfinished one at the end is left out. */
function wholeCharacters(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte > 0xf4 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function asText(bytes) {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? { data: null, text } : { data: bytes.toString('base64') };
}

module.exports = { Capture, FileEnd, at };
