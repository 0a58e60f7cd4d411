'use strict';
// Arguments, paths, names and environments as the protocol has them: any bytes.

const path = require('node:path');
const { fileURLToPath } = require('node:url');

/** Returns what is sent for an argument: a string, or bytes in base64. */
function textOf(argument) {
  if (typeof argument === 'string') return argument;
  if (argument instanceof Uint8Array) return { base64: asBuffer(argument).toString('base64') };
  if (typeof argument === 'number' || typeof argument === 'bigint') return String(argument);
  throw invalid('an argument', 'a string or a Uint8Array', argument);
}

/** Returns what is sent for the path of a file or directory, as it is seen from anywhere. */
function pathOf(file) {
  if (file instanceof URL) return fileURLToPath(file);
  if (typeof file === 'string') return path.resolve(file);
  if (!(file instanceof Uint8Array)) throw invalid('a path', 'a string, a file: URL or a Uint8Array', file);
  const bytes = asBuffer(file);
  return textOf(bytes[0] === 0x2f ? bytes : Buffer.concat([Buffer.from(process.cwd() + '/'), bytes]));
}

/** Returns what is sent for variables; `undefined` ones are left out, as in child_process. */
function environOf(variables) {
  const sent = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) sent[name] = value === null ? null : textOf(value);
  }
  return sent;
}

/** Returns a Buffer on the same bytes. */
function asBuffer(bytes) {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the TypeError for an argument of the wrong kind, as Node has it. */
function invalid(what, wanted, given) {
  const text = `${what} must be ${wanted}: ${typeof given === 'object' ? JSON.stringify(given) : String(given)}`;
  return Object.assign(new TypeError(text), { code: 'ERR_INVALID_ARG_TYPE' });
}

module.exports = { asBuffer, environOf, invalid, pathOf, textOf };
