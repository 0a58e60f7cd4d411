'use strict';
// Scripts for the commands of the conformance script: what is short is really run, what lasts is played.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** Gives a ScriptedServer all commands of the conformance script. */
function addScripts(server) {
  server.command((argv, command) => isThere(command), real);
  server.command((argv, command) => refusalOf(command) === 'EACCES', { error: { code: -32006, errno: 'EACCES' } });
  server.command((argv) => argv[0] === 'perl', async (process) => { // which speaks to NOTIFY_SOCKET
    process.ready('going');
    while (await process.stdin.read());
  });
  server.command(['sleep', '1000'], (process) => process.forever());
  for (const [text, script] of Object.entries(SHELL)) server.command(['sh', '-c', text], script);
  server.command((argv, { cwd }) => !fs.existsSync(cwd), { error: { code: -32005, errno: 'ENOENT', field: 'cwd' } });
  return server;
}

const SHELL = {
  "trap 'exit 6' TERM; echo; while :; do sleep 1; done": async (process) => {
    process.trap('TERM', () => process.exit(6));
    await process.write('\n');
    return process.forever();
  },
  'exec sleep 1000': (process) => process.forever(),
  'stty -echo -opost; stty size; exec sleep 1000': async (process) => {
    await process.write(sizeOf(process));
    return process.forever();
  },
  "stty -echo -opost; printf 'caf\\303\\251'; exec sleep 1000": printf(1, 'café'),
  'stty -echo -opost; printf 0123456789; exec sleep 1000': printf(1, '0123456789'),
  'stty -echo -opost; stty size; read x; test -t 0 && test -t 1 && test -t 2 && echo "$x" >/dev/tty; read x; stty size >&2; read x || exit 6': async (process) => {
    await process.write(sizeOf(process));
    await process.write(await process.stdin.read());
    await process.stdin.read();
    await process.write(sizeOf(process), 2);
    return String(await process.stdin.read()) === '\x04' ? 6 : 0;
  },
  'printf 0123456789abcdef; exec sleep 1000': printf(1, '0123456789abcdef'),
  'printf 0123456789; exec sleep 1000': printf(1, '0123456789'),
  'kill -TERM $$': (process) => process.die('SIGTERM'),
  "trap 'exit 5' USR1; sleep 1000 & echo; wait": async (process) => {
    process.trap('USR1', () => process.exit(5));
    process.fork(['sleep', '1000']);
    await process.write('\n');
    return process.forever();
  },
  "trap 'exit 6' INT; echo; while :; do sleep 1; done": async (process) => {
    process.trap('INT', () => process.exit(6));
    await process.write('\n');
    return process.forever();
  },
  "trap '' TERM; echo; exec sleep 1000": async (process) => {
    process.trap('TERM', null);
    await process.write('\n');
    return process.forever();
  },
  "trap '' TERM; while :; do sleep 1; done": (process) => process.trap('TERM', null).forever(),
  'while :; do :; done': (process) => process.forever(),
  'sleep 1000 & exit 4': (process) => {
    process.fork(['sleep', '1000']);
    return 4;
  },
  'printf hello; exec sleep 1000': printf(1),
  'printf hello >&2; exec sleep 1000': printf(2),
  'printf hello >&5; exec sleep 1000': printf(5),
  "trap 'echo; read x; sleep 1000' HUP; echo; while :; do sleep 1; done": async (process) => {
    process.trap('HUP', () => { process.write('\n'); });
    await process.write('\n');
    return process.forever();
  },
  'set -- $(cat /proc/$$/stat); test $5 = $$ && test $6 = $$': { code: 0 }, // a session of its own
};

function sizeOf({ terminal }) {
  return `${terminal.rows} ${terminal.cols}\n`;
}

function printf(fd, text = 'hello') {
  return async (process) => {
    process.write(text, fd);
    return process.forever();
  };
}

/** Plays a process by a real one. */
async function real(process) {
  const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  const program = programOf({ argv: process.argvBytes, env: process.env, cwd: process.cwd, path: process.path });
  // A shell hands the bytes on, for which child_process has no room.
  const words = [...process.argvBytes.slice(1)];
  const line = Buffer.from([
    `cd ${quoted(process.cwd)} && exec env -i`, ...env.map((one) => quoted(Buffer.from(one, 'latin1'))), quoted(program),
    ...words.map(quoted),
  ].join(' '), 'latin1');
  const child = spawn('sh', ['-c', 'eval "$(printf %s "$0" | base64 -d)"', line.toString('base64')], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  process.ended.addEventListener('abort', () => child.kill('SIGKILL'));
  const outputs = [child.stdout, child.stderr].map((stream, i) => copied(stream, process, i + 1));
  for (const fd of [0, 3]) if (!(fd === 3 && !line.includes('<&3'))) feed(child.stdio[fd], process.input(fd) ?? []);
  const [code, signal] = await new Promise((resolve) => { child.on('close', (...how) => resolve(how)); });
  await Promise.all(outputs);
  return signal ? { signal } : code;
}

async function feed(stream, input) {
  stream.on('error', () => {}); // it need not be read
  for await (const chunk of input) stream.write(chunk);
  stream.end();
}

async function copied(stream, process, fd) {
  for await (const chunk of stream) await process.write(chunk, fd);
}

function quoted(bytes) {
  return `'${Buffer.from(bytes).toString('latin1').replaceAll("'", "'\\''")}'`;
}

function programOf({ argv, path: given, env, cwd }) {
  const name = (given ?? argv[0]).toString('latin1');
  if (name.includes('/')) return Buffer.from(path.resolve(String(cwd), name), 'latin1');
  const found = (env.PATH ?? process.env.PATH).split(':').map((one) => path.join(one, name)).find((one) => fs.existsSync(one));
  return found === undefined ? undefined : Buffer.from(found, 'latin1');
}

function isThere(command) {
  return refusalOf(command) === undefined;
}

/** Returns why a program cannot be started: an errno. */
function refusalOf(command) {
  const program = programOf(command);
  if (program === undefined || !fs.existsSync(program)) return 'ENOENT';
  const stat = fs.statSync(program);
  if (!stat.isFile() || (stat.mode & 0o111) === 0) return 'EACCES';
  const begin = fs.readFileSync(program).subarray(0, 100).toString('latin1');
  const [, interpreter] = /^#! *(\S+)/.exec(begin) ?? [];
  return interpreter !== undefined && !fs.existsSync(interpreter) ? 'ENOENT' : undefined;
}

module.exports = { addScripts };
