'use strict';
// Run commands so that nothing they start can outlive them: the client of `supervise serve` for Node. See README.md.

const errors = require('./errors.js');
const { Job } = require('./job.js');
const { run } = require('./run.js');
const { Supervisor } = require('./supervisor.js');

module.exports = {
  run,
  Supervisor,
  Job,
  AbortError: errors.AbortError,
  CommandNotFound: errors.CommandNotFound,
  ExitError: errors.ExitError,
  InvalidRequest: errors.InvalidRequest,
  JobGone: errors.JobGone,
  LimitRefused: errors.LimitRefused,
  MaxBufferError: errors.MaxBufferError,
  NotExecutable: errors.NotExecutable,
  ProtocolError: errors.ProtocolError,
  RequestError: errors.RequestError,
  SupervisorLost: errors.SupervisorLost,
  SystemCallFailed: errors.SystemCallFailed,
  TimeoutError: errors.TimeoutError,
  Unsupported: errors.Unsupported,
};
