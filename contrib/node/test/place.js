'use strict';
// Where the tests are: what the environment says of the supervisor, and what must be as it was when they have ended.
//
//   SUPERVISE_CONTAINMENT   what containment the tests are to find; "" or not set: it is not known
//   SUPERVISE_CONFORMANCE   the conformance script
//   SUPERVISE_SCHEMAS       the directory of serve.schema.json

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { Supervisor } = require('../lib/index.js');

const TIMEOUT_MS = 120_000; // of one test; the machine may be busy

const inCheckout = path.join(__dirname, '..', '..', '..', 'protocol');

/** The conformance script; undefined: it is not here. */
const SCRIPT = existing(process.env.SUPERVISE_CONFORMANCE ?? path.join(inCheckout, 'testdata', 'conformance.jsonl'));

/** The schema of the messages; undefined: it is not here. */
const SCHEMA = existing(path.join(process.env.SUPERVISE_SCHEMAS ?? inCheckout, 'serve.schema.json'));

function existing(file) {
  return fs.existsSync(file) ? file : undefined;
}

/** Makes a directory that is removed after the test. */
function temporaryDirectory(t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'supervise-node-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  return directory;
}

/** Runs a test with a supervisor in each containment that there is here. */
function withEach(name, body) {
  for (const contain of ['cgroup', 'subreaper']) {
    test(`${name} (${contain})`, { timeout: TIMEOUT_MS }, async (t) => {
      const supervisor = new Supervisor({ contain });
      if (!(await isHere(supervisor, contain))) {
        t.skip('jobs have no cgroup here');
        return;
      }
      const { cgroup } = await supervisor.hello();
      try {
        await body(supervisor, t, contain);
      } finally {
        await supervisor.close();
      }
      assert.ok(cgroup === null || !fs.existsSync(cgroup), `${cgroup} is left`);
      assert.deepStrictEqual(children(), []);
    });
  }
}

async function isHere(supervisor, contain) {
  try {
    await supervisor.hello();
    return true;
  } catch (error) {
    if (contain !== 'cgroup' || process.env.SUPERVISE_CONTAINMENT === 'cgroup') throw error;
    return false;
  }
}

/** Returns the pids of our children, of which a test leaves none. */
function children() {
  const tasks = fs.readdirSync('/proc/self/task').map((task) => `/proc/self/task/${task}/children`);
  return tasks.flatMap((file) => fs.readFileSync(file, 'utf8').split(' ')).filter((pid) => pid !== '').map(Number);
}

/** Tells whether a process is alive: a zombie is not. */
function isAlive(pid) {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

module.exports = { SCHEMA, SCRIPT, TIMEOUT_MS, children, isAlive, temporaryDirectory, withEach };
