'use strict';
// Bytes as lines.

const { StringDecoder } = require('node:string_decoder');

const NEWLINE = 10;

/** Makes lines of the chunks of the conversation. */
class LineReader {
  #begun = []; // of a line
  #online;

  /** @param {(line: string) => void} online is called with each line, without its newline */
  constructor(online) {
    this.#online = online;
  }

  /** Takes the next bytes. */
  take(chunk) {
    let start = 0;
    for (let end; (end = chunk.indexOf(NEWLINE, start)) >= 0; start = end + 1) this.#finish(chunk.subarray(start, end));
    if (start < chunk.length) this.#begun.push(chunk.subarray(start));
  }

  #finish(rest) {
    if (this.#begun.length === 0) {
      this.#online(rest.toString());
      return;
    }
    const line = Buffer.concat([...this.#begun, rest]);
    this.#begun = [];
    this.#online(line.toString());
  }
}

/**
 * Iterates over lines of text, without "\n" or "\r\n". A last line without one counts too.
 * @param {AsyncIterable<Uint8Array | string>} chunks
 * @param {BufferEncoding} encoding
 */
async function* textLines(chunks, encoding = 'utf8') {
  const decoder = new StringDecoder(encoding);
  let begun = '';
  for await (const chunk of chunks) {
    const lines = (begun + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n');
    begun = lines.pop();
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  begun += decoder.end();
  if (begun !== '') yield begun;
}

module.exports = { LineReader, textLines };
