'use strict';

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { Readable } = require('node:stream');
const test = require('node:test');
const { temporaryDirectory, withEach, TIMEOUT_MS } = require('./place.js');
const { run, Supervisor, ...errors } = require('../lib/index.js');

withEach('a result has status, output and record', async (supervisor) => {
  const { record, ...result } = await supervisor.run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepStrictEqual(result, { code: 3, signal: null, stdout: 'out\n', stderr: 'err\n' });
  assert.strictEqual(record.cause, 'exited');
  assert.strictEqual(record.schema, 'supervise.record/1');
});

withEach('a signal ends the command', async (supervisor) => {
  const { code, signal } = await supervisor.run(['sh', '-c', 'kill -USR1 $$']);
  assert.deepStrictEqual({ code, signal }, { code: null, signal: 'SIGUSR1' });
});

withEach('input comes as text, bytes, or bit by bit', async (supervisor) => {
  const inputs = ['grün', Buffer.from('grün'), Readable.from(['gr', Buffer.from('ün')]), ['gr', 'ün']];
  for (const input of inputs) assert.strictEqual((await supervisor.run(['cat'], { input })).stdout, 'grün');
  assert.strictEqual((await supervisor.run(['cat'])).stdout, '');
});

withEach('input of many pipes comes through, and need not be read', async (supervisor) => {
  const input = Buffer.alloc(3_000_000, 'x');
  const { stdout } = await supervisor.run(['cat'], { input, encoding: 'buffer' });
  assert.ok(stdout.equals(input));
  assert.strictEqual((await supervisor.run(['true'], { input })).code, 0);
});

withEach('bytes that are no text go in and come out', async (supervisor) => {
  const { stdout } = await supervisor.run(['printf', '%s', Buffer.from([0x63, 0xe9, 0xff])], { encoding: 'buffer' });
  assert.deepStrictEqual([...stdout], [0x63, 0xe9, 0xff]);
  assert.strictEqual((await supervisor.run(['printf', '\\303\\266'])).stdout, 'ö');
});

withEach('environment and directory', async (supervisor, t) => {
  const cwd = fs.realpathSync(temporaryDirectory(t));
  const script = 'echo "$PWD ${A-} ${B-} ${HOME-none}"';
  const own = await supervisor.run(['sh', '-c', script], { cwd, env: { PATH: process.env.PATH, A: 'a', B: undefined } });
  assert.strictEqual(own.stdout, `${cwd} a  none\n`);
  process.env.SUPERVISE_NODE_TEST = 'since the start';
  const changed = await supervisor.run(['sh', '-c', 'echo $SUPERVISE_NODE_TEST $A'], { envUpdate: { A: 'b' } });
  assert.strictEqual(changed.stdout, 'since the start b\n');
  delete process.env.SUPERVISE_NODE_TEST;
  const gone = await supervisor.run(['sh', '-c', 'echo ${SUPERVISE_NODE_TEST-none}']);
  assert.strictEqual(gone.stdout, 'none\n');
});

withEach('a command that is not there', async (supervisor) => {
  const error = await failure(supervisor.run(['no-such-command', 'x']));
  assert.ok(error instanceof errors.CommandNotFound);
  const { code, errno, syscall, path, spawnargs } = error;
  assert.deepStrictEqual({ code, errno, syscall, path, spawnargs },
    { code: 'ENOENT', errno: -2, syscall: 'spawn no-such-command', path: 'no-such-command', spawnargs: ['x'] });
  assert.strictEqual(error.cause.code, -32005);
  const elsewhere = await failure(supervisor.run(['true'], { cwd: '/no/such/directory' }));
  assert.deepStrictEqual([elsewhere.code, elsewhere.field, elsewhere.path], ['ENOENT', 'cwd', '/no/such/directory']);
  assert.ok((await failure(supervisor.run(['/']))) instanceof errors.NotExecutable);
});

withEach('a timeout ends all of the job', async (supervisor) => {
  const error = await failure(supervisor.run(['sh', '-c', 'echo begun; sleep 1000 & sleep 1000'], { timeout: 2000 }));
  assert.ok(error instanceof errors.TimeoutError);
  assert.deepStrictEqual([error.code, error.timedOut, error.stdout, error.record.cause], ['ETIMEDOUT', true, 'begun\n', 'timeout']);
});

withEach('a timeout with grace lets the command end itself', async (supervisor) => {
  const script = "trap 'echo saved; exit 0' INT; while :; do sleep 0.01; done";
  const error = await failure(supervisor.run(['sh', '-c', script], { timeout: 2000, grace: 60_000, killSignal: 'INT' }));
  assert.deepStrictEqual([error.code, error.stdout], ['ETIMEDOUT', 'saved\n']);
});

withEach('an AbortSignal ends all of the job', async (supervisor) => {
  const controller = new AbortController();
  const running = supervisor.run(['sh', '-c', 'echo begun; sleep 1000'], { signal: controller.signal });
  for await (const line of running.lines()) {
    assert.strictEqual(line, 'begun');
    controller.abort(new Error('enough'));
    break;
  }
  const error = await failure(running);
  assert.deepStrictEqual([error.name, error.code, error.cause.message, error.stdout], ['AbortError', 'ABORT_ERR', 'enough', 'begun\n']);
  assert.deepStrictEqual(await supervisor.list(), []);
});

withEach('what was aborted before is not started', async (supervisor, t) => {
  const mark = path.join(temporaryDirectory(t), 'mark');
  const error = await failure(supervisor.run(['touch', mark], { signal: AbortSignal.abort() }));
  assert.strictEqual(error.code, 'ABORT_ERR');
  assert.ok(!fs.existsSync(mark));
});

withEach('lines come as they are written', async (supervisor) => {
  const running = supervisor.run(['sh', '-c', 'echo one; printf "two\\r\\nthr"; printf "ee\\n\\nlast"']);
  const lines = [];
  for await (const line of running) lines.push(line);
  assert.deepStrictEqual(lines, ['one', 'two', 'three', '', 'last']);
  assert.strictEqual((await running).code, 0);
  const again = [];
  for await (const line of running.lines()) again.push(line);
  assert.deepStrictEqual(again, lines);
});

withEach('breaking off ends the job, and an error comes after the lines', async (supervisor) => {
  for await (const line of supervisor.run(['sh', '-c', 'echo first; sleep 1000'])) {
    assert.strictEqual(line, 'first');
    break;
  }
  assert.deepStrictEqual(await supervisor.list(), []);
  const lines = [];
  const error = await failure((async () => {
    for await (const line of supervisor.run(['sh', '-c', 'echo first; exit 1'], { check: true })) lines.push(line);
  })());
  assert.deepStrictEqual([error.name, error.code, lines], ['ExitError', 1, ['first']]);
});

withEach('check', async (supervisor) => {
  const error = await failure(supervisor.run(['sh', '-c', 'echo out; exit 4'], { check: true }));
  assert.deepStrictEqual([error.name, error.code, error.signal, error.stdout], ['ExitError', 4, null, 'out\n']);
  const signaled = await failure(supervisor.run(['sh', '-c', 'kill -9 $$'], { check: true }));
  assert.deepStrictEqual([signaled.code, signaled.signal], [null, 'SIGKILL']);
  const leaking = ['sh', '-c', 'sleep 1000 &'];
  assert.strictEqual((await supervisor.run(leaking, { check: true })).record.leftovers_total, 1);
  assert.match((await failure(supervisor.run(leaking, { check: true, leftovers: 'fail' }))).message, /left 1 /);
});

withEach('maxBuffer', async (supervisor) => {
  const error = await failure(supervisor.run(['yes'], { maxBuffer: 1000 }));
  assert.deepStrictEqual([error.name, error.code, error.stdout.length],
    ['MaxBufferError', 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER', 1000]);
});

withEach('a pipeline', async (supervisor) => {
  const { code, stdout, commands } = await supervisor.run([['printf', 'b\\na\\n'], { argv: ['sort'] }, ['sh', '-c', 'cat; exit 5']]);
  assert.deepStrictEqual([code, stdout, commands.map(({ exit }) => exit.code)], [5, 'a\nb\n', [0, 0, 5]]);
});

withEach('standard output to a file, to nothing, and both in one', async (supervisor, t) => {
  const file = path.join(temporaryDirectory(t), 'output');
  const script = ['sh', '-c', 'echo out; echo err >&2'];
  assert.deepStrictEqual((await supervisor.run(script, { stdout: { file } })).stdout, '');
  await supervisor.run(script, { stdout: 'ignore', stderr: { file, mode: 'append' } });
  assert.strictEqual(fs.readFileSync(file, 'utf8'), 'out\nerr\n');
  assert.strictEqual((await supervisor.run(script, { stderr: 'stdout' })).stdout, 'out\nerr\n');
});

withEach('limits', async (supervisor, t, contain) => {
  if (contain === 'subreaper') {
    const error = await failure(supervisor.run(['true'], { memoryMax: '1G' }));
    assert.ok(error instanceof errors.Unsupported);
    assert.strictEqual(error.field, 'limits');
  }
  const { record } = await supervisor.run(['true'], { memoryMax: '1G', limits: { TasksMax: 10 }, bestEffort: true });
  assert.strictEqual(record.limits.length > 0 ? true : record.unenforced.length >= 2, true);
});

withEach('wrong options', async (supervisor) => {
  const wrong = [[['true'], { memmax: 1 }], [['true'], { timeout: -1 }], [['true'], { stdin: 'teapot' }], [[], {}], ['true', {}],
    [['true'], { input: '', stdin: 'ignore' }]];
  for (const [argv, options] of wrong) {
    await assert.rejects(async () => supervisor.run(argv, options), TypeError);
  }
  const error = await failure(supervisor.run(['true'], { killSignal: 'SIGNONE' }));
  assert.deepStrictEqual([error.name, error.field, error.code], ['InvalidRequest', 'signal', 'ERR_INVALID_ARG_VALUE']);
  assert.strictEqual((await failure(supervisor.run(['a\0b']))).name, 'InvalidRequest');
});

withEach('many at a time', async (supervisor) => {
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => supervisor.run(['sh', '-c', `echo ${i}; exit ${i}`])));
  assert.deepStrictEqual(all.map(({ code }) => code), [...all.keys()]);
  assert.deepStrictEqual(all.map(({ stdout }) => stdout), [...all.keys()].map((i) => `${i}\n`));
});

test('run without a supervisor', { timeout: TIMEOUT_MS }, async () => {
  const { code, stdout } = await run(['echo', 'hi']);
  assert.deepStrictEqual([code, stdout], [0, 'hi\n']);
  const supervisor = new Supervisor();
  assert.strictEqual((await run(['echo', 'hi'], { supervisor })).stdout, 'hi\n');
  await supervisor.close();
});

test('the program is that of the option, of the environment, or on PATH', { timeout: TIMEOUT_MS }, async (t) => {
  const { PATH, SUPERVISE_BIN } = process.env;
  t.after(() => Object.assign(process.env, { PATH }, SUPERVISE_BIN === undefined ? {} : { SUPERVISE_BIN }));
  const located = require('../lib/location.js').superviseLocation();
  assert.strictEqual((await run(['true'], { bin: located })).code, 0);
  process.env.PATH = '/nowhere';
  process.env.SUPERVISE_BIN = located;
  assert.strictEqual((await run(['/bin/true'])).code, 0);
  delete process.env.SUPERVISE_BIN;
  const error = await failure(run(['/bin/true']));
  assert.deepStrictEqual([error.code, error.path], ['ENOENT', 'supervise']);
  assert.throws(() => new Supervisor(), { code: 'ENOENT' });
  const missing = await failure(run(['/bin/true'], { bin: '/no/such/program' }));
  assert.deepStrictEqual([missing.name, missing.code], ['SupervisorLost', 'ENOENT']);
  const other = await failure(run(['/bin/true'], { bin: '/bin/false' }));
  assert.deepStrictEqual([other.name, other.code], ['SupervisorLost', 'ERR_SUPERVISE_LOST']);
});

test('a supervisor that is killed', { timeout: TIMEOUT_MS }, async () => {
  const supervisor = new Supervisor();
  const { pid } = await supervisor.hello();
  const job = supervisor.spawn(['sleep', '1000']);
  await job.started();
  const lost = once(job, 'error');
  process.kill(pid, 'SIGKILL');
  assert.strictEqual((await lost)[0].code, 'ERR_SUPERVISE_LOST');
  assert.strictEqual((await failure(job.wait())).name, 'SupervisorLost');
  assert.strictEqual((await failure(supervisor.run(['true']))).name, 'SupervisorLost');
  await supervisor.close();
});

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
