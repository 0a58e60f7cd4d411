'use strict';
// The parameters of requests, made of the options of spawn and run. Times are milliseconds here, and seconds there.

const { stdioOf } = require('./stdio.js');
const { environOf, invalid, pathOf, textOf } = require('./texts.js');

// The options that are limits, as the flags of "supervise run" name them.
const LIMITS = {
  memoryMax: 'memory-max',
  memoryHigh: 'memory-high',
  memoryLow: 'memory-low',
  memoryMin: 'memory-min',
  swapMax: 'swap-max',
  oomGroup: 'oom-group',
  cpus: 'cpus',
  cpuWeight: 'cpu-weight',
  cpuset: 'cpuset',
  cpusetMems: 'cpuset-mems',
  pidsMax: 'pids-max',
  ioWeight: 'io-weight',
  ioMax: 'io-max',
};

const SPAWN_OPTIONS = new Set([
  ...Object.keys(LIMITS), 'limits', 'bestEffort', 'delegate', 'cwd', 'env', 'envUpdate', 'path', 'name', 'tags', 'timeout',
  'cpuTimeout', 'grace', 'killSignal', 'leftovers', 'notify', 'pressure', 'sample', 'stdin', 'stdout', 'stderr', 'stdio', 'pty',
  'signal',
]);

const LEAST_S = 1e-9; // the least time that is not 0, which is none to the supervisor
const TOO_LONG_MS = 100 * 365 * 24 * 3600 * 1000; // what is longer than the supervisor takes

/**
 * What a supervisor was started with, and jobs get if nothing else is said.
 * @param {Record<string, string | undefined>} env
 */
function originOf(env) {
  return { env: { ...env }, cwd: process.cwd() };
}

/**
 * Returns the parameters of "spawn".
 * @param {unknown} argv a list of arguments, or a list of commands: a pipeline
 * @param {Record<string, any>} options of spawn
 * @param {object | undefined} origin what the supervisor was started with; undefined: it is not known, and jobs get it as it is
 * @param {unknown[]} stdio what is sent for the descriptors
 */
function spawnParameters(argv, options, origin, stdio) {
  refuseUnknown('spawn', options, SPAWN_OPTIONS);
  return given({
    ...commandOf(argv),
    path: options.path === undefined ? undefined : textOf(options.path),
    cwd: cwdOf(options.cwd, origin),
    env: options.env && environOf(options.env),
    env_update: unlessEmpty(environOf({ ...(options.env ? {} : changesSince(origin)), ...options.envUpdate })),
    stdio,
    limits: unlessEmpty(limitsOf(options)),
    best_effort: options.bestEffort || undefined,
    delegate: options.delegate || undefined,
    timeout: timeLimit(options.timeout),
    cpu_timeout: timeLimit(options.cpuTimeout),
    grace: graceOf(options.grace),
    signal: signalName(options.killSignal),
    leftovers: options.leftovers,
    notify: options.notify,
    pressure: options.pressure?.map(pressureOf),
    sample: options.sample === undefined ? undefined : options.sample / 1000,
    name: options.name === undefined ? undefined : textOf(options.name),
    tags: options.tags,
  });
}

function commandOf(argv) {
  if (!Array.isArray(argv)) throw invalid('argv', 'an array of arguments', argv);
  if (argv.length === 0) throw invalid('argv', 'an array of at least one argument', argv);
  if (!isPipeline(argv)) return { argv: argv.map(textOf) };
  return { pipeline: argv.map((command) => pipelineCommand(Array.isArray(command) ? { argv: command } : command)) };
}

/** Tells whether argv is a list of commands. */
function isPipeline(argv) {
  return typeof argv[0] === 'object' && !(argv[0] instanceof Uint8Array);
}

function pipelineCommand({ argv, path, cwd, env, envUpdate }) {
  if (!Array.isArray(argv)) throw invalid('argv of a command', 'an array of arguments', argv);
  return given({
    argv: argv.map(textOf),
    path: path === undefined ? undefined : textOf(path),
    cwd: cwd === undefined ? undefined : pathOf(cwd),
    env: env && environOf(env),
    env_update: envUpdate && environOf(envUpdate),
  });
}

function cwdOf(cwd, origin) {
  if (cwd !== undefined) return pathOf(cwd);
  return origin === undefined || process.cwd() === origin.cwd ? undefined : process.cwd();
}

/** Returns what our environment has become since the supervisor was started. */
function changesSince(origin) {
  if (origin === undefined) return {};
  const changes = {};
  const now = { ...process.env };
  for (const name in now) if (now[name] !== origin.env[name]) changes[name] = now[name];
  for (const name in origin.env) if (now[name] === undefined && origin.env[name] !== undefined) changes[name] = null;
  return changes;
}

/** Returns limits by the names of the protocol: those of `limits` as they are, the others by their options. */
function limitsOf(options) {
  const limits = { ...options.limits };
  for (const option in LIMITS) if (options[option] !== undefined) limits[LIMITS[option]] = options[option];
  return limits;
}

/** Returns a time limit in seconds: 0 and Infinity are none, as in child_process. */
function timeLimit(ms) {
  if (ms === undefined || ms === null) return undefined;
  if (!(typeof ms === 'number' && ms >= 0)) throw invalid('a time', 'a number of milliseconds', ms);
  return ms === 0 || ms > TOO_LONG_MS ? undefined : Math.max(ms / 1000, LEAST_S);
}

/** Returns a grace period in seconds. */
function graceOf(ms) {
  if (ms === undefined) return undefined;
  if (!(typeof ms === 'number' && ms >= 0)) throw invalid('grace', 'a number of milliseconds', ms);
  return Math.min(ms, TOO_LONG_MS) / 1000;
}

/** Returns a signal as text; numbers are taken too. */
function signalName(signal) {
  return typeof signal === 'number' ? String(signal) : signal;
}

function pressureOf({ resource, full = false, stall, window }) {
  return { resource, full, stall_s: stall / 1000, window_s: window / 1000 };
}

/** Throws the TypeError for an option that there is not. */
function refuseUnknown(where, options, known) {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) {
      throw Object.assign(new TypeError(`${where} has no option "${name}"`), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  }
}

/** Returns those parameters that were given. */
function given(parameters) {
  for (const name in parameters) if (parameters[name] === undefined) delete parameters[name];
  return parameters;
}

function unlessEmpty(object) {
  for (const _ in object) return object;
  return undefined;
}

module.exports = {
  LIMITS, SPAWN_OPTIONS, given, graceOf, isPipeline, limitsOf, originOf, refuseUnknown, signalName, spawnParameters, stdioOf,
};
