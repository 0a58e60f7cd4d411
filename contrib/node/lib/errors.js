'use strict';
// The errors of the client: what the supervisor refused, what a run came to, and a supervisor that is lost.

const { constants } = require('node:os');

/** The error object of JSON-RPC, as the supervisor sent it (protocol/SERVE.md has the codes). It is the cause of a RequestError. */
class ProtocolError extends Error {
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.data = data ?? {};
  }
}
ProtocolError.prototype.name = 'ProtocolError';

/** The supervisor refused a request. Its subclasses say why; what it was asked for has not happened. */
class RequestError extends Error {
  constructor(method, error) {
    super(`${method}: ${error.message}`, { cause: new ProtocolError(error) });
    this.method = method;
    this.field = error.data?.field;
    this.code = error.data?.errno ?? CODES[error.code] ?? 'ERR_SUPERVISE';
    const number = constants.errno[this.code];
    if (number !== undefined) this.errno = -number;
  }
}
RequestError.prototype.name = 'RequestError';

/** There is no such program, interpreter, directory or file; `field` says which of the parameters it is. */
class CommandNotFound extends RequestError {}
/** The program may not be executed, or is none. */
class NotExecutable extends RequestError {}
/** A parameter is wrong: see `field`. */
class InvalidRequest extends RequestError {}
/** A limit cannot be had here; the message has the reason and the fix. */
class LimitRefused extends RequestError {}
/** It is not to be had with this containment, kernel or connection. */
class Unsupported extends RequestError {}
/** The job has ended, or there is none of that number. */
class JobGone extends RequestError {}
/** A system call failed: `code` has the errno. */
class SystemCallFailed extends RequestError {}

/** The supervisor has ended, and with it every job; or it could not be understood. */
class SupervisorLost extends Error {
  constructor(message, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = 'ERR_SUPERVISE_LOST';
  }
}

/** A command that was run to its end has failed. It has what the result has: stdout, stderr, signal, record. */
class RunError extends Error {
  constructor(message, result, more) {
    super(message);
    Object.assign(this, result, more);
  }
}

/** `check` was asked for, and the command did not exit with 0 (or left processes, with leftovers "fail"). */
class ExitError extends RunError {}
/** The `timeout` was over, and the job was ended: `code` is ETIMEDOUT. */
class TimeoutError extends RunError {}
/** There was more output than `maxBuffer`, and the job was ended. */
class MaxBufferError extends RunError {}

for (const kind of [CommandNotFound, NotExecutable, InvalidRequest, LimitRefused, Unsupported, JobGone,
  SystemCallFailed, SupervisorLost, ExitError, TimeoutError, MaxBufferError]) {
  kind.prototype.name = kind.name;
}

/** The caller's AbortSignal was aborted, and the job was ended: as child_process has it, with the reason as cause. */
class AbortError extends Error {
  constructor(reason, more) {
    super('The operation was aborted', { cause: reason });
    this.code = 'ABORT_ERR';
    Object.assign(this, more);
  }
}
AbortError.prototype.name = 'AbortError';

// Codes of those errors of JSON-RPC that come without an errno.
const CODES = {
  [-32602]: 'ERR_INVALID_ARG_VALUE',
  [-32002]: 'E2BIG',
  [-32003]: 'EAGAIN',
  [-32004]: 'ESRCH',
  [-32005]: 'ENOENT',
  [-32006]: 'EACCES',
  [-32007]: 'ERR_SUPERVISE_LIMIT',
  [-32008]: 'ERR_SUPERVISE_UNSUPPORTED',
  [-32009]: 'ERR_SUPERVISE_SHUTDOWN',
};

const CLASSES = {
  [-32602]: InvalidRequest,
  [-32004]: JobGone,
  [-32005]: CommandNotFound,
  [-32006]: NotExecutable,
  [-32007]: LimitRefused,
  [-32008]: Unsupported,
  [-32010]: SystemCallFailed,
};

/** Returns the error for an error object of JSON-RPC. */
function requestError(method, error) {
  const kind = CLASSES[error.code] ?? (error.data?.errno ? SystemCallFailed : RequestError);
  return new kind(method, error);
}

/** Gives the error of a spawn what child_process's has: syscall, path, spawnargs. */
function asSpawnError(error, argv, paths) {
  if (!(error instanceof RequestError) || error.errno === undefined) return error;
  error.path = paths[error.field] ?? String(argv[0]);
  error.syscall = `spawn ${error.path}`;
  error.spawnargs = argv.slice(1).map(String);
  return error;
}

module.exports = {
  AbortError, CommandNotFound, ExitError, InvalidRequest, JobGone, LimitRefused, MaxBufferError, NotExecutable, ProtocolError,
  RequestError, RunError, SupervisorLost, SystemCallFailed, TimeoutError, Unsupported, asSpawnError, requestError,
};
