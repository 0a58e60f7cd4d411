// A pool: many commands, so many at a time, with one supervisor. The first failure ends all others.
// node build-farm.mjs 4 'make -C a' 'make -C b' ...

import { Supervisor } from 'supervise-api';

const [atATime = '2', ...given] = process.argv.slice(2);
const commands = given.length > 0 ? given : ['echo one', 'echo two', 'echo three'];

const supervisor = new Supervisor(); // with Node 24: await using supervisor = new Supervisor()
const failed = new AbortController();

/** Takes commands until there are none. */
async function worker(queue) {
  for (const [, command] of queue) {
    const options = { check: true, timeout: 600_000, memoryMax: '2G', bestEffort: true, signal: failed.signal };
    const { stdout, record } = await supervisor.run(['sh', '-c', command], options);
    console.log(`${command}: ${record.wall_s.toFixed(2)} s`);
    process.stdout.write(stdout);
  }
}

try {
  const queue = commands.entries(); // shared: each command is taken once
  await Promise.all(Array.from({ length: Number(atATime) }, () => worker(queue)));
} catch (error) {
  failed.abort();
  console.error(error.message, error.stderr ?? '');
  process.exitCode = 1;
} finally {
  await supervisor.close(); // nothing of them is alive now
}
