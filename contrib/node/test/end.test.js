'use strict';
// Nothing outlives the program that has started it, however that ends.

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { isAlive, withEach } = require('./place.js');

const PROGRAM = path.join(__dirname, 'owner.js');

for (const [count, how, argument] of [[200, 'kill -9', 'wait'], [10, 'its exit', 'exit'], [10, 'an exception', 'throw']]) {
  withEach(`${count} jobs, and the end of their owner by ${how}`, async (_, t, contain) => {
    // Everything has the owner's standard error open: its end is that of all.
    const owner = spawn(process.execPath, [PROGRAM, contain, argument, count], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaints = '';
    owner.stderr.on('data', (data) => { complaints += data; });
    const over = Promise.all([once(owner.stderr, 'end'), once(owner, 'exit')]);
    const [line] = await once(createInterface(owner.stdout), 'line');
    const { pids, cgroup } = JSON.parse(line);
    assert.strictEqual(pids.length, count + 1);
    if (argument === 'wait') owner.kill('SIGKILL');
    await over;
    assert.deepStrictEqual(pids.filter(isAlive), []);
    assert.ok(cgroup === null || !fs.existsSync(cgroup), `${cgroup} is left`);
    if (argument !== 'throw') assert.strictEqual(complaints, '');
  });
}

withEach('a supervisor that is not closed does not keep the program', async (_, t, contain) => {
  const owner = spawn(process.execPath, [PROGRAM, contain, 'idle'], { stdio: ['ignore', 'inherit', 'pipe'] });
  const over = once(owner.stderr, 'end');
  owner.stderr.resume();
  assert.deepStrictEqual(await once(owner, 'exit'), [0, null]);
  await over;
});
