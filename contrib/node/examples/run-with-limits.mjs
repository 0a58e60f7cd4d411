// Runs a command with limits, and says what it has used: node run-with-limits.mjs make -j8

import { run, LimitRefused, TimeoutError, Unsupported } from 'supervise-api';

const argv = process.argv.slice(2);
if (argv.length === 0) argv.push('sh', '-c', 'echo hello; sleep 1000 & exit 3');

try {
  const { code, signal, stdout, record } = await run(argv, { memoryMax: '1G', pidsMax: 200, timeout: 60_000, bestEffort: true });
  process.stdout.write(stdout);
  console.log(`status ${code ?? signal}, ${record.cpu.total_s ?? '?'} s of CPU, ${record.leftovers_total} left and killed`);
  for (const { name, reason } of record.unenforced) console.log(`without ${name}: ${reason}`);
} catch (error) {
  if (error instanceof TimeoutError) console.log(`too slow; it had said: ${error.stdout}`);
  else if (error instanceof LimitRefused || error instanceof Unsupported) console.log(`no such limit here: ${error.message}`);
  else if (error.code === 'ENOENT') console.log(`not found: ${error.path}`);
  else throw error;
}
