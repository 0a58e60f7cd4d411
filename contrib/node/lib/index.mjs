// The package for `import`: the same objects as for `require`.
import supervise from './index.js';

export const {
  run,
  Supervisor,
  Job,
  AbortError,
  CommandNotFound,
  ExitError,
  InvalidRequest,
  JobGone,
  LimitRefused,
  MaxBufferError,
  NotExecutable,
  ProtocolError,
  RequestError,
  SupervisorLost,
  SystemCallFailed,
  TimeoutError,
  Unsupported,
} = supervise;
