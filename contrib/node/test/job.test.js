'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const { withEach, isAlive } = require('./place.js');

withEach('a job is used as a ChildProcess is', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'read line; echo "got $line"; echo err >&2; exit 3']);
  const events = [];
  for (const name of ['spawn', 'exit', 'ended', 'close']) job.on(name, () => events.push(name));
  const closed = once(job, 'close');
  job.stdin.end('hello\n');
  const [stdout, stderr] = await Promise.all([text(job.stdout), text(job.stderr)]);
  assert.deepStrictEqual([stdout, stderr], ['got hello\n', 'err\n']);
  assert.deepStrictEqual(await closed, [3, null]);
  assert.deepStrictEqual([job.exitCode, job.signalCode, job.spawnfile], [3, null, 'sh']);
  assert.deepStrictEqual(events, ['spawn', 'exit', 'ended', 'close']);
  assert.strictEqual((await job.wait()).record, job.record);
});

withEach('a job that cannot be started', async (supervisor) => {
  const job = supervisor.spawn(['no-such-command']);
  const [error] = await once(job, 'error');
  assert.strictEqual(error.code, 'ENOENT');
  await assert.rejects(job.wait(), error);
  await assert.rejects(job.stat(), error);
  assert.strictEqual(await job.kill(), null);
});

withEach('a job whose output is not read waits, and holds up no other', async (supervisor) => {
  const slow = supervisor.spawn(['yes'], { stdin: 'ignore' });
  const other = supervisor.spawn(['seq', '40000'], { stdin: 'ignore' });
  let lines = 0;
  for await (const _ of other) lines++;
  assert.strictEqual(lines, 40000);
  const before = slow.stdout.readableLength;
  assert.ok(before < 1_000_000, `${before} bytes are here`);
  const taken = 1_000_000;
  let bytes = 0;
  for await (const chunk of slow.stdout.iterator({ destroyOnReturn: false })) if ((bytes += chunk.length) > taken) break;
  assert.ok(slow.stdout.readableLength < 1_000_000);
  await slow.kill();
  const end = await slow.wait();
  assert.ok(end.output[0].bytes < taken + 1_500_000, `${end.output[0].bytes} bytes were told`);
});

withEach('output that is destroyed is dropped, and the job goes on', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'seq 300000; exit 7'], { stdin: 'ignore' });
  for await (const line of job) if (line === '10') break;
  assert.strictEqual((await job.wait()).code, 7);
});

withEach('a job that does not read slows its writer', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'read go; cat >&2; wc -c'], { stderr: 'ignore' });
  job.stdin.write('go\n');
  const done = new Promise((resolve) => { job.stdin.write(Buffer.alloc(2_000_000), resolve); });
  await done;
  job.stdin.end();
  assert.strictEqual((await job.wait()).code, 0);
  const deaf = supervisor.spawn(['sleep', '1000'], { stdout: 'ignore', stderr: 'ignore' });
  let written = false;
  deaf.stdin.on('error', () => {});
  deaf.stdin.write(Buffer.alloc(500_000), (error) => { written ||= !error; });
  await deaf.stat();
  assert.strictEqual(written, false);
  await deaf.kill();
  assert.strictEqual(written, false);
});

withEach('who has closed its standard input is told as EPIPE', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'exec <&-; echo closed; exec sleep 1000'], { stderr: 'ignore' });
  await once(job.stdout, 'data');
  job.stdin.write('x');
  const [error] = await once(job.stdin, 'error');
  assert.strictEqual(error.code, 'EPIPE');
  await job.kill();
});

withEach('kill ends all, and says what', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'sleep 1000 & sleep 1000 & echo; wait']);
  await once(job.stdout, 'data');
  const result = await job.kill();
  assert.strictEqual(result.killed.length, result.killedTotal);
  assert.strictEqual(result.killedTotal, 3);
  assert.ok(result.killed.every(({ pid }) => !isAlive(pid)));
  assert.strictEqual(job.record.cause, 'killed');
  assert.strictEqual(await job.kill(), null);
});

withEach('kill by a signal', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', "trap 'exit 6' INT; echo; while :; do sleep 0.01; done"]);
  await once(job.stdout, 'data');
  await job.kill('SIGINT');
  assert.deepStrictEqual([job.exitCode, job.record.cause], [6, 'killed']);
});

withEach('signals', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', "trap 'exit 5' USR1; sleep 1000 & echo; wait"]);
  await once(job.stdout, 'data');
  const stopped = once(job, 'stopped');
  await job.signal('STOP');
  assert.strictEqual((await stopped)[0].signal, 'SIGSTOP');
  const continued = once(job, 'continued');
  await job.signal(18);
  await continued;
  await job.signal('SIGUSR1', { all: true });
  assert.strictEqual((await job.wait()).code, 5);
  await job.signal('TERM'); // what has ended is left alone
});

withEach('an AbortSignal', async (supervisor) => {
  const controller = new AbortController();
  const job = supervisor.spawn(['sleep', '1000'], { signal: controller.signal });
  await job.started();
  const failed = once(job, 'error');
  controller.abort('enough');
  assert.deepStrictEqual([(await failed)[0].code, (await failed)[0].cause], ['ABORT_ERR', 'enough']);
  await assert.rejects(job.wait(), { code: 'ABORT_ERR' });
  assert.strictEqual(job.record.cause, 'killed');
});

withEach('freeze, thaw, limit, stat, mark', async (supervisor, t, contain) => {
  const job = supervisor.spawn(['sleep', '1000'], { name: 'sleeper', tags: { a: 'b' }, delegate: contain === 'cgroup' });
  if (contain === 'subreaper') {
    for (const refused of [job.freeze(), job.thaw(), job.mark('a'), job.limit({ pidsMax: 10 })]) {
      await assert.rejects(refused, { name: 'Unsupported', code: 'ERR_SUPERVISE_UNSUPPORTED' });
    }
  } else {
    await job.freeze();
    assert.strictEqual((await job.stat()).frozen, true);
    await job.thaw();
    assert.deepStrictEqual((await job.limit({ limits: { set: 'cgroup.max.depth=7' } })).limits[0].value, '7');
    assert.strictEqual((await job.mark('second')).name, '');
  }
  const { name, tags, pid } = await job.stat();
  assert.deepStrictEqual([name, tags, pid], ['sleeper', { a: 'b' }, job.pid]);
  assert.deepStrictEqual((await supervisor.list()).map((one) => one.job), [job.number]);
  await job.kill();
  await assert.rejects(job.stat(), { name: 'JobGone', code: 'ESRCH' });
});

withEach('a terminal', async (supervisor) => {
  const script = 'stty size; read x; echo "got $x"; stty size; test -t 0 && test -t 2 && exec </dev/tty';
  const job = supervisor.spawn(['sh', '-c', script], { pty: { rows: 30, cols: 100 } });
  assert.strictEqual(job.stderr, null);
  const closed = once(job, 'close');
  let printed = '';
  job.stdout.setEncoding('utf8').on('data', (data) => { printed += data; });
  await once(job.stdout, 'data');
  await job.resize({ rows: 31, cols: 90 });
  job.stdin.write('abc\n');
  assert.strictEqual((await job.wait()).code, 0);
  await closed;
  assert.strictEqual(printed.replaceAll('\r', ''), '30 100\nabc\ngot abc\n31 90\n');
});

withEach('Ctrl-C and the end-of-file character in a terminal', async (supervisor) => {
  const sleeper = supervisor.spawn(['sh', '-c', 'echo; exec sleep 1000'], { pty: true });
  await once(sleeper.stdout, 'data');
  sleeper.stdin.write('\x03');
  assert.strictEqual((await sleeper.wait()).signal, 'SIGINT');
  const cat = supervisor.spawn(['cat'], { pty: true });
  cat.stdin.end('line\n');
  cat.stdout.resume();
  assert.strictEqual((await cat.wait()).code, 0);
});

withEach('output that is kept', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'printf 0123456789; read x; echo end'], { stdout: { keep: 8 } });
  assert.strictEqual(job.stdout, null);
  let part = await job.output({ wait: 60_000 });
  while (part.bytes < 10) part = await job.output({ offset: part.next, wait: 60_000 });
  const all = await job.output({ offset: 0 });
  assert.deepStrictEqual([all.data.toString(), all.offset, all.cut, all.ended], ['23456789', 2, 2, false]);
  job.stdin.end('\n');
  await job.wait();
  const last = await job.output({ offset: -4 });
  assert.deepStrictEqual([last.data.toString(), last.eof, last.ended], ['end\n', true, true]);
  await job.forget();
  await assert.rejects(job.output(), { name: 'JobGone' });
});

withEach('readiness', async (supervisor) => {
  const notify = `const s = require('child_process').spawnSync; process.exit(s('systemd-notify', ['--version']).error ? 1 : 0)`;
  if ((await supervisor.run([process.execPath, '-e', notify])).code !== 0) return; // nothing here that could say it
  const job = supervisor.spawn(['sh', '-c', 'systemd-notify --ready --status=up; exec sleep 1000'], { notify: ['ready'] });
  assert.strictEqual((await job.ready()).status, 'up');
  await job.kill();
  const silent = supervisor.spawn(['true'], { notify: ['ready'] });
  await assert.rejects(silent.ready(), { name: 'JobGone' });
});

withEach('descendants are told', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', 'sleep 1000 & exit 4'], { leftovers: 'wait', notify: ['descendants'] });
  await once(job, 'exit');
  const told = once(job, 'descendant');
  await job.signal('USR1', { all: true });
  assert.strictEqual((await told)[0].signal, 'SIGUSR1');
  assert.strictEqual((await job.wait()).code, 4);
});

withEach('shutdown with grace, and what comes after it', async (supervisor) => {
  const job = supervisor.spawn(['sh', '-c', "trap 'exit 9' HUP; echo; while :; do sleep 0.01; done"]);
  await once(job.stdout, 'data');
  await supervisor.shutdown({ grace: 60_000, signal: 'HUP' });
  assert.strictEqual((await job.wait()).code, 9);
  await assert.rejects(supervisor.run(['true']), { name: 'SupervisorLost' });
});

withEach('close ends all jobs, and their records come', async (supervisor) => {
  const jobs = Array.from({ length: 20 }, () => supervisor.spawn(['sleep', '1000']));
  await Promise.all(jobs.map((job) => job.started()));
  await supervisor[Symbol.asyncDispose]();
  for (const job of jobs) assert.strictEqual((await job.wait()).record.cause, 'owner-gone');
  assert.ok(jobs.every(({ pid }) => !isAlive(pid)));
});

withEach('the end of a block ends a job', async (supervisor) => {
  const job = supervisor.spawn(['sleep', '1000']);
  await job[Symbol.asyncDispose]();
  assert.strictEqual(job.record.cause, 'killed');
});

async function text(stream) {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}
