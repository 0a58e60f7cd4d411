'use strict';
// A program that has jobs: node owner.js CONTAINMENT wait|exit|throw|idle JOBS

const { Supervisor } = require('../lib/index.js');

const [, , contain, how, count] = process.argv;

async function main() {
  const supervisor = new Supervisor({ contain });
  if (how === 'idle') {
    await supervisor.run(['true']);
    return;
  }
  const options = { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' };
  const jobs = Array.from({ length: Number(count) }, () => supervisor.spawn(['sh', '-c', 'setsid sleep 1000 & exec sleep 1000'], options));
  await Promise.all(jobs.map((job) => job.started()));
  const { pid, cgroup } = await supervisor.hello();
  process.stdout.write(`${JSON.stringify({ pids: [pid, ...jobs.map((job) => job.pid)], cgroup })}\n`, () => {
    if (how === 'exit') process.exit(0);
    if (how === 'throw') throw new Error('on purpose');
  });
}

main();
