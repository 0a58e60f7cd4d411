'use strict';
// Measures what a supervised command costs: `node bench.js`, with supervise on PATH. Medians in milliseconds.

const { spawn } = require('node:child_process');
const { run, Supervisor } = require('./lib/index.js');

const RUNS = 300;

/** What child_process does with the same: the output is taken, and the end of all is waited for. */
function unsupervised() {
  return new Promise((resolve) => {
    const child = spawn('true');
    child.stdout.resume();
    child.stderr.resume();
    child.on('close', resolve);
  });
}

async function main() {
  const supervisor = new Supervisor();
  const subjects = {
    "child_process.spawn('true')": unsupervised,
    "run(['true'], {supervisor})": () => run(['true'], { supervisor }),
    "run(['true'])": () => run(['true']),
  };
  const times = Object.fromEntries(Object.keys(subjects).map((name) => [name, []]));
  for (let i = 0; i < RUNS; i++) { // in turn, so that all have the same neighbours
    for (const [name, subject] of Object.entries(subjects)) {
      const start = performance.now();
      await subject();
      times[name].push(performance.now() - start);
    }
  }
  for (const [name, values] of Object.entries(times)) console.log(`${median(values).toFixed(2).padStart(6)} ms  ${name}`);
  await supervisor.close();
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

main();
