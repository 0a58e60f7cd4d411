'use strict';
// What the descriptors 0, 1 and 2 of a job are.

const { invalid, pathOf } = require('./texts.js');

/** Bytes of output that the supervisor tells before they were taken here; then the job waits in its write. */
const WINDOW = 256 * 1024;

/**
 * Returns the protocol's `stdio` for the options stdin, stdout, stderr, stdio and pty.
 * @param {{stdin?: unknown, stdout?: unknown, stderr?: unknown, stdio?: unknown, pty?: unknown}} options
 * @param {{flow: boolean}} how flow: each output has a window; else all of it is told at once
 * @returns {{sent: unknown[], input: boolean, outputs: boolean[], inherit: boolean}} what is sent; whether descriptor 0 is
 *   written to here; whether 1 and 2 are read here; whether 1 is copied to our own
 */
function stdioOf(options, how) {
  if (options.pty) return terminal(options.pty, how);
  const [stdin, stdout, stderr] = chosen(options);
  return {
    sent: [inputOf(stdin), outputOf(1, stdout, how), outputOf(2, stderr, how)],
    input: stdin === 'pipe',
    outputs: [stdout === 'pipe' || stdout === 'inherit', stderr === 'pipe'],
    inherit: stdout === 'inherit',
  };
}

function terminal(pty, how) {
  const { rows = 24, cols = 80, keep } = pty === true ? {} : pty;
  const sent = { rows, cols, ...(keep ? { keep } : windowOf(how)) };
  return { sent: [{ pty: sent }, 'pty', 'pty'], input: true, outputs: [!keep, false], inherit: false };
}

function chosen({ stdio, stdin, stdout, stderr }) {
  const [a, b, c] = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio];
  return [stdin ?? a ?? 'pipe', stdout ?? b ?? 'pipe', stderr ?? c ?? 'pipe'];
}

function inputOf(what) {
  if (what === 'pipe') return 'input';
  if (what === 'ignore') return 'null';
  if (isFile(what)) return fileOf(what, 'read');
  if (what === 'inherit') throw invalid('stdin', '"pipe": have process.stdin.pipe(job.stdin) instead of "inherit"', what);
  throw invalid('stdin', '"pipe", "ignore" or {file}', what);
}

function outputOf(fd, what, how) {
  if (what === 'pipe' || (what === 'inherit' && fd === 1)) return { capture: { limit: -1, wait: true, ...windowOf(how) } };
  if (what === 'inherit') return 'inherit';
  if (what === 'ignore') return 'null';
  if (what === 'stdout' && fd === 2) return { dup: 1 };
  if (isFile(what)) return fileOf(what, 'truncate');
  if (what?.keep) return { capture: { keep: what.keep } };
  const wanted = `"pipe", "ignore", "inherit", ${fd === 2 ? '"stdout", ' : ''}{file, mode} or {keep}`;
  throw invalid(fd === 1 ? 'stdout' : 'stderr', wanted, what);
}

function windowOf({ flow }) {
  return flow ? { window: WINDOW } : {};
}

function isFile(what) {
  return typeof what === 'object' && what?.file !== undefined;
}

function fileOf({ file, mode }, usual) {
  return { file: pathOf(file), mode: mode ?? usual };
}

module.exports = { WINDOW, stdioOf };
