// What callers write, held to the types by `tsc --strict` (and to nothing else: it is not run).

import {
  AbortError, CommandNotFound, ExitError, Job, JobEnd, Record, RequestError, Result, run, Running, Supervisor, TimeoutError,
} from 'supervise-api';
import { ScriptedServer } from 'supervise-api/testing';

async function running(signal: AbortSignal): Promise<void> {
  const { code, stdout, record }: Result = await run(['make', '-j8'], { timeout: 60_000, memoryMax: '1G', signal, cwd: '/tmp' });
  const text: string = stdout;
  const status: number | null = code;
  const seconds: number | null = record.cpu.total_s;
  const binary: Buffer = (await run(['cat'], { input: Buffer.from('a'), encoding: 'buffer', env: { A: undefined } })).stdout;
  const lines: Running = run(['ls', Buffer.from([0xe9])]);
  for await (const line of lines) line.toUpperCase();
  await run([['zcat', 'a.gz'], { argv: ['sort'], envUpdate: { LC_ALL: 'C', LANG: null } }], { check: true });
  void [text, status, seconds, binary];
  // @ts-expect-error there is no such option
  await run(['true'], { memmax: 1 });
  // @ts-expect-error a command is a list
  await run('true');
}

async function failing(): Promise<void> {
  try {
    await run(['no-such-command']);
  } catch (error) {
    if (error instanceof CommandNotFound) error.code.startsWith(error.cause.message);
    else if (error instanceof RequestError) error.field?.length;
    else if (error instanceof TimeoutError) error.record.wall_s.toFixed();
    else if (error instanceof ExitError) (error.code ?? 0).toFixed();
    else if (error instanceof AbortError) void error.cause;
  }
}

async function spawning(supervisor: Supervisor): Promise<Record> {
  const job: Job = supervisor.spawn(['sh'], { pty: { rows: 24, cols: 80 }, notify: ['ready'], grace: 1000 });
  job.on('exit', (code, signal) => { code?.toFixed(); signal?.length; })
    .once('ended', (end: JobEnd) => { end.record.cause === 'timeout'; })
    .on('error', (error) => { error.message; });
  job.stdin?.end('exit\n');
  job.stdout?.pipe(process.stdout);
  await job.ready();
  await job.freeze();
  await job.thaw();
  await job.limit({ memoryMax: 1e9 });
  const procs: number[] | null = (await job.stat()).procs;
  await job.mark('second');
  await job.resize({ rows: 25, cols: 80 });
  await job.signal('SIGINT', { all: true });
  const killed = await job.kill({ grace: 100, signal: 'TERM' });
  killed?.killed.map(({ pid }) => pid);
  const { data, next } = await job.output({ offset: -100, wait: 1000 });
  void [procs, data.toString(), next];
  return (await job.wait()).record;
}

async function scripted(): Promise<void> {
  const server = new ScriptedServer({ containment: 'cgroup' })
    .command('make', { stdout: 'done', code: 2 })
    .command(['cat'], async (process) => {
      for await (const chunk of process.stdin) await process.write(chunk);
    });
  const supervisor = server.supervisor();
  await supervisor[Symbol.asyncDispose]();
  await spawning(new Supervisor({ channel: server.channel() }));
}

void [running, failing, scripted];
