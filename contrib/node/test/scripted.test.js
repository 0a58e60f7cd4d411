'use strict';
// The client against a scripted server.

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const test = require('node:test');
const { SCHEMA, children } = require('./place.js');
const { ScriptedServer } = require('../testing/index.js');
const { run, Supervisor, SupervisorLost, LimitRefused, Unsupported } = require('../lib/index.js');

test.after(() => assert.deepStrictEqual(children(), []));

test('a script says what a command comes to', async () => {
  const server = new ScriptedServer().command('make', { stdout: 'done\n', stderr: 'warning\n', code: 2 });
  const supervisor = server.supervisor();
  const { code, stdout, stderr, record } = await run(['make', '-j8'], { supervisor, name: 'build' });
  assert.deepStrictEqual([code, stdout, stderr, record.cause, record.name], [2, 'done\n', 'warning\n', 'exited', 'build']);
  assert.deepStrictEqual(server.spawned.map(({ argv }) => argv), [['make', '-j8']]);
  await assert.rejects(supervisor.run(['other']), { code: 'ENOENT', path: 'other' });
  await supervisor.close();
});

test('a script that is a function reads, writes and takes signals', async () => {
  const server = new ScriptedServer();
  server.command('cat', async (process) => { for await (const chunk of process.stdin) await process.write(chunk); });
  server.command('stubborn', (process) => process.trap('TERM', () => { process.write('no\n'); }).forever());
  const supervisor = server.supervisor();
  assert.strictEqual((await supervisor.run(['cat'], { input: 'x'.repeat(300_000) })).stdout.length, 300_000);
  const error = await supervisor.run(['stubborn'], { timeout: 1, grace: 20 }).catch((e) => e);
  assert.deepStrictEqual([error.code, error.stdout, error.signal], ['ETIMEDOUT', 'no\n', 'SIGKILL']);
  await supervisor.close();
});

test('flow control: a script waits for its reader', async () => {
  let written = 0;
  const server = new ScriptedServer().command('yes', async (process) => {
    for (; process.alive; written += 1000) await process.write(Buffer.alloc(1000));
  });
  const supervisor = server.supervisor();
  const job = supervisor.spawn(['yes']);
  await job.started();
  await job.stat();
  await new Promise(setImmediate);
  assert.ok(written < 1_000_000, `${written} bytes`);
  let bytes = 0;
  for await (const chunk of job.stdout) if ((bytes += chunk.length) > 2_000_000) break;
  assert.ok(written < 3_000_000, `${written} bytes`);
  await job.kill();
  await supervisor.close();
});

test('what a server cannot do', async () => {
  const refuse = (limit) => (limit === 'memory-max' ? 'no memory controller' : undefined);
  const inCgroup = new ScriptedServer({ refuse }).command('true', {}).supervisor();
  await assert.rejects(inCgroup.run(['true'], { memoryMax: '1G' }), LimitRefused);
  assert.strictEqual((await inCgroup.run(['true'], { memoryMax: '1G', bestEffort: true })).record.unenforced.length, 1);
  const without = new ScriptedServer({ containment: 'subreaper' }).command('true', {}).supervisor();
  await assert.rejects(without.run(['true'], { sample: 1000 }), TypeError); // run has no samples
  await assert.rejects(without.run(['true'], { cpuTimeout: 1000 }), Unsupported);
  await Promise.all([inCgroup.close(), without.close()]);
});

test('an old server has no window and no kill that waits', async () => {
  const server = new ScriptedServer({ features: ['base64', 'input'] });
  server.command('writer', async (process) => { await process.write('x'.repeat(2_000_000)); return process.forever(); });
  const supervisor = server.supervisor();
  const job = supervisor.spawn(['writer']);
  await once(job.stdout, 'readable');
  assert.strictEqual(await job.kill(), null);
  assert.strictEqual(server.spawned[0].stdio[1].capture.window, undefined);
  await supervisor.close();
});

test('an error that nobody hears is thrown, and one that somebody waits for is not', async () => {
  const supervisor = new ScriptedServer().supervisor();
  await assert.rejects(supervisor.spawn(['nothing']).wait(), { code: 'ENOENT' });
  await supervisor.close();
  const program = `const { ScriptedServer } = require(${JSON.stringify(require.resolve('../testing/index.js'))});
    process.on('uncaughtException', (error) => { console.log(error.code); process.exit(); });
    new ScriptedServer().supervisor().spawn(['nothing']);`;
  assert.strictEqual(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }), 'ENOENT\n');
});

test('a server that does not speak the protocol', async () => {
  for (const said of ['hello\n', '{"jsonrpc":"2.0","method":"started"}\n', '[]\n7\n']) {
    const supervisor = new Supervisor({ channel: channelThatSays(said) });
    await assert.rejects(supervisor.hello(), SupervisorLost);
    await supervisor.close();
  }
});

function channelThatSays(text) {
  let owner;
  return {
    start(handlers) { owner = handlers; },
    write() { setImmediate(() => owner.chunk(Buffer.from(text))); },
    end() { setImmediate(() => owner.over()); },
    destroy() { this.end(); },
    ref() {},
    unref() {},
  };
}

test('a request that is too long', async () => {
  const supervisor = new ScriptedServer().command('echo', {}).supervisor();
  await supervisor.hello();
  await assert.rejects(supervisor.run(['echo', 'x'.repeat(17 << 20)]), { code: 'E2BIG' });
  assert.strictEqual((await supervisor.run(['echo', 'x'.repeat(8 << 20)])).code, 0);
  await supervisor.close();
});

test('all parameters are those of the schema', { skip: SCHEMA === undefined }, async () => {
  const { $defs } = JSON.parse(fs.readFileSync(SCHEMA, 'utf8'));
  const server = new ScriptedServer().command('true', {});
  const supervisor = server.supervisor();
  await supervisor.spawn(['true'], {
    cwd: '/', env: {}, envUpdate: { A: null }, path: 'true', name: 'n', tags: { a: 'b' }, timeout: 1e6, cpuTimeout: 1e6, grace: 1,
    killSignal: 'INT', leftovers: 'wait', delegate: true, bestEffort: true, notify: ['ready'], sample: 1e6, memoryMax: '1G',
    pressure: [{ resource: 'cpu', stall: 100, window: 1000 }], stderr: 'stdout',
  }).wait();
  await supervisor.run([['true'], { argv: ['true'], cwd: '/', env: {}, envUpdate: {}, path: 'true' }]);
  const sent = server.spawned;
  for (const params of sent) assertNamed(params, $defs.SpawnParams.properties);
  for (const command of sent[1].pipeline) assertNamed(command, $defs.Command.properties);
  assertNamed(sent[0].pressure[0], $defs.PressureTrigger.properties);
  assertNamed(sent[0].stdio[1].capture, $defs.CaptureSpec.properties);
  await supervisor.close();
});

function assertNamed(object, properties) {
  for (const name of Object.keys(object)) assert.ok(name in properties, `the schema has no ${name}`);
}

test('the types name what there is', () => {
  for (const [module, file] of [['../lib/index.js', '../lib/index.d.ts'], ['../testing/index.js', '../testing/index.d.ts']]) {
    const text = fs.readFileSync(require.resolve(file), 'utf8');
    for (const [name, value] of Object.entries(require(module))) {
      assert.match(text, new RegExp(`^export (class|function) ${name}\\b`, 'm'));
      for (const method of methodsOf(value)) assert.match(text, new RegExp(`^  (readonly )?(get )?${method}\\b`, 'm'), `${name}.${method}`);
    }
  }
});

// What the modules of the package have for each other.
const INTERNAL = ['constructor', 'name', 'begin', 'told', 'lost', 'abortBy', 'collect', 'receive', 'end', 'pid', 'scriptOf', 'refusal'];

function methodsOf(value) {
  return Object.getOwnPropertyNames(value.prototype ?? {}).filter((name) => !INTERNAL.includes(name));
}

test('import gives what require gives', async () => {
  for (const [common, module] of [['../lib/index.js', '../lib/index.mjs'], ['../testing/index.js', '../testing/index.mjs']]) {
    assert.deepStrictEqual({ ...(await import(module)) }, { ...require(common) });
  }
});
