'use strict';
// The parameters of requests, checked as SERVE.md has them. Each check returns the value as it is used here, or throws a Fault.

const { constants } = require('node:os');
const { CODE, Fault, wrong } = require('./fault.js');

const MAX_STDIO = 253;
const MAX_CREDIT = 2 ** 40;
const MAX_SECONDS = 100 * 365 * 24 * 3600;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const LONE_SURROGATE = /[\ud800-\udfff]/u;
const NOTIFY = ['descendants', 'oom', 'limit', 'ready'];

/** Returns the bytes of a text: a string, or {base64}. */
function bytesOf(value, field) {
  if (typeof value === 'string' && !LONE_SURROGATE.test(value)) return Buffer.from(value);
  if (typeof value?.base64 === 'string' && BASE64.test(value.base64)) return Buffer.from(value.base64, 'base64');
  throw wrong(field, 'neither text nor base64');
}

function withoutNul(bytes, field) {
  if (bytes.includes(0)) throw wrong(field, 'there is a zero byte');
  return bytes;
}

function optional(value, check, field) {
  return value === undefined || value === null ? undefined : check(value, field);
}

function path(value, field) {
  return withoutNul(bytesOf(value, field), field);
}

function argv(value, field = 'argv') {
  if (!Array.isArray(value) || value.length === 0) throw wrong(field, 'it must be a list of at least one argument');
  return value.map((one) => bytesOf(one, field)).map((bytes, i) => withoutNul(bytes, `${field}[${i}]`));
}

function environ(value, field, update) {
  const pairs = Array.isArray(value)
    ? value.map((one) => pairOf(bytesOf(one, field).toString('latin1'), field, update))
    : Object.entries(value).map(([name, text]) => [Buffer.from(name).toString('latin1'), valueOf(text, field, update)]);
  for (const [name, text] of pairs) {
    if (name === '' || name.includes('=') || `${name}${text}`.includes('\0')) throw wrong(field, 'no name of a variable');
  }
  return pairs;
}

function pairOf(text, field, update) {
  const end = text.indexOf('=');
  if (end < 0 && !update) throw wrong(field, 'there is no "="');
  return end < 0 ? [text, null] : [text.slice(0, end), text.slice(end + 1)];
}

function valueOf(text, field, update) {
  if (text === null && update) return null;
  return bytesOf(text, field).toString('latin1');
}

function seconds(value, field) {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_SECONDS)) throw wrong(field, 'no number of seconds');
  return value;
}

function sample(value, field) {
  if (seconds(value, field) !== 0 && value < 0.001) throw wrong(field, 'less than a millisecond');
  return value;
}

function flag(value, field) {
  if (typeof value !== 'boolean') throw wrong(field, 'neither true nor false');
  return value;
}

function integer(value, field) {
  if (!Number.isInteger(value)) throw wrong(field, 'no whole number');
  return value;
}

/** Returns the name of a signal: SIGTERM for "TERM", "SIGTERM", "term" or "15". */
function signal(value, field = 'signal') {
  const name = String(value).toUpperCase();
  const known = constants.signals;
  const found = Object.keys(known).find((one) => one === name || one === `SIG${name}` || String(known[one]) === name);
  if (typeof value !== 'string' || found === undefined) throw wrong(field, `no signal: ${value}`);
  return found;
}

function name(value, field) {
  const bytes = bytesOf(value, field);
  if (bytes.length === 0 || bytes.length > 255 || /[/\x00-\x1f]/.test(bytes.toString('latin1'))) throw wrong(field, 'no name');
  return bytes;
}

function choice(among) {
  return (value, field) => {
    if (!among.includes(value)) throw wrong(field, `one of ${among.join(', ')}`);
    return value;
  };
}

function notify(value, field) {
  if (!Array.isArray(value)) throw wrong(field);
  return value.map((one, i) => choice(NOTIFY)(one, `${field}[${i}]`));
}

function pressure(value, field) {
  return value.map((one, i) => {
    const good = ['cpu', 'memory', 'io'].includes(one.resource) && one.window_s >= 0.5 && one.window_s <= 10 && one.stall_s <= one.window_s;
    if (!good) throw wrong(`${field}[${i}]`);
    return one;
  });
}

// What one descriptor may be, with the check of its parameters.
const KINDS = {
  null: () => ({ null: true }),
  input: () => ({ input: true }),
  inherit: (one, i, field) => {
    if (i < 2) throw wrong(field, 'the conversation is there');
    return { inherit: true };
  },
  pipe: (one, i, field) => { throw new Fault(CODE.unsupported, 'no descriptors over pipes', { field }); },
  file: (one, i, field) => ({
    file: path(one.file, `${field}.file`),
    mode: optional(one.mode, choice(['read', 'append', 'create', 'truncate']), field) ?? (i === 0 ? 'read' : 'append'),
  }),
  dup: (one, i, field) => {
    if (integer(one.dup, `${field}.dup`) < 0 || one.dup >= i) throw wrong(field, 'not a lower descriptor');
    return { dup: one.dup };
  },
  fd: (one, i, field) => {
    integer(one.fd, `${field}.fd`);
    throw wrong(field, 'no descriptor came');
  },
  capture: (one, i, field) => {
    if (i === 0) throw wrong(field, 'nothing is captured of standard input');
    return { capture: captureOf(one.capture, field, 'capture') };
  },
  pty: (one, i, field, before) => ({ pty: ptyOf(one.pty === true ? {} : one.pty, i, field, before) }),
};

function ptyOf(given, i, field, before) {
  if (i > 2) throw wrong(field, 'a terminal is for 0, 1 and 2');
  for (const name of ['rows', 'cols']) optional(given[name], size, `${field}.pty.${name}`);
  if (given.master) throw new Fault(CODE.unsupported, 'no descriptors over pipes', { field });
  if (before.some(({ pty }) => pty) && Object.keys(given).length > 0) throw wrong(field, 'the first one says what it is');
  return { rows: 24, cols: 80, ...captureOf(given, field, 'pty') };
}

/** Checks a number of rows or columns as it is sent: 16 bits. */
function size(value, field) {
  if (integer(value, field) < 0 || value > 65535) throw wrong(field, 'no number of rows or columns');
  return value;
}

function captureOf(given, field, kind) {
  const { limit = 0, keep = 0, window = 0 } = given === true ? {} : given;
  for (const [name, value] of Object.entries({ limit, keep, window })) integer(value, `${field}.${kind}.${name}`);
  if (limit < -1 || keep < 0 || keep > 64 << 20 || window < 0) throw wrong(field);
  return given === true ? {} : given;
}

function stdio(value, field) {
  if (!Array.isArray(value) || value.length > MAX_STDIO) throw wrong(field);
  const entries = [];
  value.forEach((one, i) => { entries.push(stdioEntry(one ?? 'null', i, `${field}[${i}]`, entries)); });
  return entries;
}

function stdioEntry(given, i, field, before) {
  const one = typeof given === 'string' ? { [given]: true } : given;
  const kinds = Object.keys(KINDS).filter((kind) => one[kind] !== undefined && one[kind] !== null && one[kind] !== false);
  if (kinds.length !== 1 || (typeof given === 'string' && ['file', 'dup', 'fd'].includes(given))) throw wrong(field, 'none of its kinds');
  return KINDS[kinds[0]](one, i, field, before);
}

function commands(value, field) {
  if (!Array.isArray(value) || value.length > 64) throw wrong(field);
  return value.map((one, i) => ({
    argv: argv(one?.argv, `${field}[${i}].argv`),
    path: optional(one.path, path, `${field}[${i}].path`),
    cwd: optional(one.cwd, path, `${field}[${i}].cwd`),
    env: optional(one.env, environ, `${field}[${i}].env`),
    env_update: optional(one.env_update, (v, f) => environ(v, f, true), `${field}[${i}].env_update`),
  }));
}

const SPAWN = {
  path, cwd: path, env: environ, env_update: (value, field) => environ(value, field, true), stdio, name, timeout: seconds,
  cpu_timeout: seconds, grace: seconds, signal, leftovers: choice(['kill', 'wait', 'fail']), notify, pressure, sample,
  pipeline: commands,
};

/** Returns the parameters of spawn. */
function spawn(params) {
  if (params.fds) throw new Fault(CODE.unsupported, 'no descriptors over pipes', { field: 'fds' });
  const checked = { ...params };
  const several = params.pipeline?.length > 0;
  if (several && (params.argv ?? params.path)) throw wrong('pipeline', 'there is a command, too');
  if (!several) checked.argv = argv(params.argv);
  for (const field in SPAWN) checked[field] = optional(params[field], SPAWN[field], field);
  return checked;
}

// The limits, with the files of the cgroup that they are written to; systemd's names beside the flags'.
const FILES = {
  'memory-max': 'memory.max', MemoryMax: 'memory.max', 'memory-high': 'memory.high', MemoryHigh: 'memory.high',
  'memory-low': 'memory.low', MemoryLow: 'memory.low', 'memory-min': 'memory.min', MemoryMin: 'memory.min',
  'swap-max': 'memory.swap.max', MemorySwapMax: 'memory.swap.max', 'oom-group': 'memory.oom.group', cpus: 'cpu.max',
  CPUQuota: 'cpu.max', 'cpu-weight': 'cpu.weight', CPUWeight: 'cpu.weight', cpuset: 'cpuset.cpus', AllowedCPUs: 'cpuset.cpus',
  'cpuset-mems': 'cpuset.mems', AllowedMemoryNodes: 'cpuset.mems', 'pids-max': 'pids.max', TasksMax: 'pids.max',
  'io-weight': 'io.weight', IOWeight: 'io.weight', 'io-max': 'io.max',
};
const NUMBER = /^(\d+(\.\d+)?(E[+-]?\d+)?[KMGT%]?|MAX|INFINITY)$/i;
const FREE = new Set(['cpuset', 'cpuset-mems', 'AllowedCPUs', 'AllowedMemoryNodes', 'io-max', 'set', 'oom-group']);
const UNITS = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Returns limits as {name, file, value}. */
function limits(value = {}) {
  return Object.entries(value ?? {}).map(([name, given]) => limitOf(name, given));
}

function limitOf(name, given) {
  const field = `limits.${name}`;
  if (!['string', 'number', 'boolean'].includes(typeof given) || (name !== 'set' && !(name in FILES))) throw wrong(field, 'no limit');
  if (name !== 'set') {
    if (!FREE.has(name) && !NUMBER.test(String(given))) throw wrong(field, 'no value of it');
    return { name, file: FILES[name], value: inBytes(String(given)) };
  }
  const [file, ...rest] = String(given).split('=');
  return { name, file, value: rest.join('=') };
}

function inBytes(text) {
  const unit = UNITS[text.slice(-1).toUpperCase()];
  return unit ? String(Math.floor(parseFloat(text) * unit)) : text;
}

/** Returns what is to be written by input: {fd, bytes, eof}. */
function input({ fd = 0, data, text, eof = false }) {
  integer(fd, 'fd');
  flag(eof, 'eof');
  if (data !== undefined && text !== undefined) throw wrong('text', 'there are data, too');
  if (data !== undefined && !(typeof data === 'string' && BASE64.test(data))) throw wrong('data', 'no base64');
  const bytes = text === undefined ? Buffer.from(data ?? '', 'base64') : bytesOf(text, 'text');
  return { fd, bytes, eof };
}

/** Returns what is asked for by output. */
function output({ fd = 1, offset, max = 64 << 10, wait = 0, text = false }) {
  optional(offset, integer, 'offset');
  if (!(integer(max, 'max') > 0 && max <= 1 << 20)) throw wrong('max');
  return { fd: integer(fd, 'fd'), offset, max, wait: seconds(wait, 'wait'), text };
}

/** Returns how many bytes are given back by credit. */
function credit(bytes) {
  if (integer(bytes, 'bytes') < 0 || bytes > MAX_CREDIT) throw wrong('bytes');
  return bytes;
}

/** Returns the size of a terminal, as resize sets it. */
function resize({ rows, cols }) {
  for (const [field, value] of Object.entries({ rows, cols })) if (size(value, field) === 0) throw wrong(field);
  return { rows, cols };
}

module.exports = { bytesOf, credit, flag, input, integer, limits, optional, output, resize, seconds, signal, spawn };
