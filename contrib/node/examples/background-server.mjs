// Starts a server, waits until it is ready, uses it, and stops it with whatever it has started.
// A server says that it is ready by sd_notify(3), or by a line of its output.

import { Supervisor } from 'supervise-api';

const SERVER = `
  const server = require('node:http').createServer((request, response) => response.end('hello'));
  server.listen(0, '127.0.0.1', () => console.log('listening on ' + server.address().port));
`;

const supervisor = new Supervisor();
try {
  const server = supervisor.spawn([process.execPath, '-e', SERVER], { stdin: 'ignore', stderr: 'inherit' });
  const port = await lineOf(server, /listening on (\d+)/); // with sd_notify: {notify: ['ready']} and await server.ready()
  const response = await fetch(`http://127.0.0.1:${port}/`);
  console.log(await response.text());
  await server.kill({ signal: 'SIGTERM', grace: 5000 });
  console.log(`it used ${server.record?.cpu.total_s ?? '?'} s of CPU`);
} finally {
  await supervisor.close();
}

/** Returns what matches in the output; the rest of it is thrown away. Error: the server has ended before. */
async function lineOf(job, pattern) {
  for await (const line of job) {
    const match = pattern.exec(line);
    if (match) return match[1];
  }
  const { code, signal } = await job.wait();
  throw new Error(`the server has ended: ${code ?? signal}`);
}
