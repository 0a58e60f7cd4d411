'use strict';
// The examples do what they say.

const assert = require('node:assert');
const { execFile } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');
const { TIMEOUT_MS } = require('./place.js');

const EXPECTED = {
  'run-with-limits.mjs': /^hello\nstatus 3, .* 1 left and killed\n/,
  'build-farm.mjs': /one[^]*three/,
  'background-server.mjs': /^hello\nit used /,
  'terminal.mjs': /^\/dev\/pts\/\d+\r\n24 80\r\n$/,
  'agent.mjs': /^$/, // it has no input; integration/agents gives it some
  'judge.mjs': /^test 1: accepted\ntest 2: accepted\n$/,
};

for (const [file, expected] of Object.entries(EXPECTED)) {
  test(file, { timeout: TIMEOUT_MS }, async () => {
    const program = path.join(__dirname, '..', 'examples', file);
    const running = promisify(execFile)(process.execPath, [program]);
    running.child.stdin.end();
    const { stdout } = await running;
    assert.match(stdout, expected);
  });
}
