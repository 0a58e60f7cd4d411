'use strict';
// Where the program `supervise` is.

const fs = require('node:fs');
const path = require('node:path');

/** The environment variable that names the program, as for the Go client and the C library. */
const BIN_ENV = 'SUPERVISE_BIN';

/**
 * Returns the path of the program: what the caller named, what SUPERVISE_BIN names, or `supervise` on PATH.
 * Error with code ENOENT: it is nowhere.
 */
function superviseLocation(given) {
  const named = given ?? process.env[BIN_ENV];
  if (named) return named;
  const found = (process.env.PATH ?? '').split(path.delimiter)
    .map((directory) => path.join(directory || '.', 'supervise'))
    .find(isExecutable);
  if (found === undefined) throw notFound();
  return found;
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function notFound() {
  const text = `supervise is not on PATH (${BIN_ENV} or the option "bin" can name it)`;
  return Object.assign(new Error(text), { code: 'ENOENT', errno: -2, syscall: 'spawn supervise', path: 'supervise' });
}

module.exports = { BIN_ENV, superviseLocation };
