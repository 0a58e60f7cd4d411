// A session at a terminal: node terminal.mjs bash. All that the session leaves behind ends with it.

import { Supervisor } from 'supervise-api';

const argv = process.argv.slice(2);
const supervisor = new Supervisor();
const { stdin, stdout } = process;
const size = () => ({ rows: stdout.rows ?? 24, cols: stdout.columns ?? 80 });

const job = supervisor.spawn(argv.length > 0 ? argv : ['sh', '-c', 'tty; stty size'], { pty: size() });
job.stdout.pipe(stdout, { end: false });
if (stdin.isTTY) {
  stdin.setRawMode(true); // each key goes to the job, Ctrl-C too
  stdin.pipe(job.stdin);
  stdout.on('resize', () => { job.resize(size()).catch(() => {}); });
}
try {
  const { code } = await job.wait();
  process.exitCode = code ?? 1;
} finally {
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.destroy();
  await supervisor.close();
}
