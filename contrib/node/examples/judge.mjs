// Judges a submission: each test has an input and an answer, and limits of time and memory.
// node judge.mjs ./submission

import { run, MaxBufferError, Supervisor, TimeoutError } from 'supervise-api';

const TESTS = [
  { input: '1 2\n', answer: '3' },
  { input: '40 2\n', answer: '42' },
];
const LIMITS = { timeout: 2000, memoryMax: '256M', pidsMax: 20, maxBuffer: 1_000_000, bestEffort: true };

const argv = process.argv.slice(2);
if (argv.length === 0) argv.push('sh', '-c', 'read a b; echo $((a + b))');

/** Returns the verdict of one test. */
async function judge(supervisor, { input, answer }) {
  try {
    const { code, stdout, record } = await run(argv, { ...LIMITS, input, supervisor });
    if (record.oom_killed) return 'memory limit exceeded';
    if (code !== 0) return 'runtime error';
    return stdout.trim() === answer ? 'accepted' : 'wrong answer';
  } catch (error) {
    if (error instanceof TimeoutError) return 'time limit exceeded';
    if (error instanceof MaxBufferError) return 'output limit exceeded';
    throw error;
  }
}

const supervisor = new Supervisor();
try {
  for (const [i, test] of TESTS.entries()) console.log(`test ${i + 1}: ${await judge(supervisor, test)}`);
} finally {
  await supervisor.close();
}
