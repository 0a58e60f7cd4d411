'use strict';
// The record of a scripted job: what is told of it is true, and what nothing was measured of is null.

const { version } = require('../package.json');

const NO_CPU = { user_s: null, system_s: null, total_s: null, periods: null, throttled_periods: null, throttled_s: null };
const NO_IO = { read_bytes: null, write_bytes: null, read_ops: null, write_ops: null, devices: null };
const NO_STALL = { some_s: null, full_s: null };
const NO_MEMORY = {
  peak_bytes: null, swap_peak_bytes: null, events: null, events_local: null, at_peak: null, sampled_max: null,
};
const NO_MAIN = {
  max_rss_bytes: null, minor_faults: null, major_faults: null, voluntary_switches: null, involuntary_switches: null,
};
const NO_USAGE = { user_s: 0, system_s: 0, ...NO_MAIN };

/** Returns a time as the protocol has it. */
function timeOf(ms) {
  return new Date(ms).toISOString().replace('Z', '000000Z');
}

/** Returns a text as it is told: with the bytes beside it if it is not UTF-8. */
function told(field, bytes) {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? { [field]: text } : { [field]: text, [`${field}_base64`]: bytes.toString('base64') };
}

/** Returns the texts of a list so. */
function toldAll(field, list) {
  const texts = list.map((bytes) => bytes.toString());
  const same = list.every((bytes, i) => Buffer.from(texts[i]).equals(bytes));
  return same ? { [field]: texts } : { [field]: texts, [`${field}_base64`]: list.map((bytes) => bytes.toString('base64')) };
}

/** Returns a phase between two marks. */
function phaseOf(name, started, ended) {
  return {
    ...told('name', name), started: timeOf(started), wall_s: (ended - started) / 1000, cpu: NO_CPU, io: NO_IO,
    pressure: { cpu: NO_STALL, memory: NO_STALL, io: NO_STALL }, max_memory_bytes: null, max_anon_bytes: null,
  };
}

/** Returns the record of a job that has ended; `more` is what its script says of it. */
function recordOf(job, ended, more) {
  return {
    schema: 'supervise.record/1', version, ...told('name', job.name), ...toldAll('argv', job.argv), pid: job.pid,
    cgroup: job.cgroup, containment: job.containment, containment_reason: null, started: timeOf(job.started),
    ended: timeOf(ended), wall_s: (ended - job.started) / 1000, exit: job.exit, cause: job.cause, cpu: NO_CPU, memory: NO_MEMORY,
    io: NO_IO, pids: { peak: null, max_hits: null }, pressure: { cpu: NO_STALL, memory: NO_STALL, io: NO_STALL }, main: NO_MAIN,
    oom_killed: null, oom: null, reaped: job.reaped, phases: job.phases.length > 0 ? job.phases : null, limits: job.limits,
    unenforced: job.unenforced, leftovers: job.leftovers, leftovers_total: job.leftovers.length, error: null, ...more,
  };
}

/** Returns what a job uses now. */
function sampleOf(job, now) {
  return {
    time: timeOf(now), wall_s: (now - job.started) / 1000, cpu: NO_CPU, memory: { current_bytes: null }, io: NO_IO, pids: {},
    pressure: { cpu: NO_STALL, memory: NO_STALL, io: NO_STALL },
  };
}

module.exports = { NO_USAGE, phaseOf, recordOf, sampleOf, timeOf, told };
