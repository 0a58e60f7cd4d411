'use strict';
// run, with a supervisor of its own or with one for many.

const { startRun } = require('./running.js');
const { Supervisor } = require('./supervisor.js');

/**
 * Runs a command to its end, as execFile and execa do; when the promise is settled, everything that the command has started is
 * dead. Resolves to {code, signal, stdout, stderr, record}, whatever the exit status. README.md has the options.
 *
 * CommandNotFound: code ENOENT, and as cause what the supervisor said; NotExecutable, LimitRefused, RequestError: nothing was
 * started. TimeoutError, AbortError, MaxBufferError; ExitError: with `check`. SupervisorLost.
 * @param {ReadonlyArray<unknown>} argv the command and its arguments; or several commands, each the input of the next
 */
function run(argv, options = {}) {
  const { supervisor, bin, contain, flags, ...rest } = options;
  if (supervisor !== undefined) return supervisor.run(argv, rest);
  return startRun(() => new Supervisor({ bin, contain, flags }), argv, rest, (own) => own.close());
}

module.exports = { run };
