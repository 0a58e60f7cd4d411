// Tools with which a model runs commands: it starts them, looks at their output, types input, and stops them: node agent.mjs
// Nothing that a command has started outlives the turn, whatever it does; its output can be looked at in the next one too.
// Requests are lines of JSON on standard input, each answered by a line on standard output:
//
//   {"tool": "start", "command": "make test", "timeout": 600}  {"id": 1}
//   {"tool": "look", "id": 1, "offset": 0, "wait": 5}          {"text": "ok\n", "next": 3, "lost": 0, "running": true}
//   {"tool": "input", "id": 1, "text": "yes\n"}                {"taken": true}
//   {"tool": "stop", "id": 1}                                  {"how": "killed", "killed": ["cc1"]}
//   {"tool": "end_turn"}                                       {"ended": {"2": "killed"}}
//
// What cannot be done is answered by {"error": "..."}.

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Supervisor, SupervisorLost } from 'supervise-api';

const KEEP = 65536; // bytes of output that are kept of each command
const LOOK = 8192; // bytes that one look returns at most
const PATIENCE_S = 5; // that a tool may take
const MOST = 20; // commands of one turn
const LIMITS = { memoryMax: '2G', pidsMax: 500, bestEffort: true }; // where they can be had

/** The tools of one agent. */
class Tools {
  #supervisor = new Supervisor();
  #jobs = new Map(); // of this turn
  #before = new Map(); // of the last one: their output is kept
  #typing = new Map(); // what was not taken yet
  #last = 0;

  /** Starts a command of the shell, which may take so many seconds. It runs on while others are started. */
  async start({ command, timeout = 60 }) {
    if (this.#jobs.size >= MOST) throw new Error('too many commands in one turn');
    const job = this.#supervisor.spawn(['sh', '-c', command], {
      ...LIMITS, timeout: timeout * 1000, grace: 1000, stdout: { keep: KEEP }, stderr: 'stdout',
    });
    job.on('error', () => {}); // those who wait for it are told
    job.stdin.on('error', () => {}); // it has closed its input, or has ended
    await job.started();
    this.#jobs.set(++this.#last, job);
    return { id: this.#last };
  }

  /** Returns output from an offset on; waits up to so many seconds if there is none yet. */
  async look({ id, offset = 0, wait = 0 }) {
    const found = await this.#job(id).output({ offset, max: LOOK, wait: Math.min(wait, PATIENCE_S) * 1000 });
    const all = found.eof && found.next === found.bytes;
    const size = all ? found.data.length : wholeCharacters(found.data);
    return { text: found.data.toString('utf8', 0, size), next: found.offset + size, lost: found.cut, running: !found.ended };
  }

  /** Types. What a command does not read in time waits for it, and no more is taken. */
  async input({ id, text }) {
    const { stdin } = this.#job(id);
    if (!this.#typing.has(id)) {
      const written = new Promise((resolve) => stdin.write(text, resolve));
      this.#typing.set(id, written.then(() => this.#typing.delete(id)));
    }
    const waiting = new AbortController();
    await Promise.race([this.#typing.get(id), sleep(PATIENCE_S * 1000, null, waiting).catch(() => {})]);
    waiting.abort();
    return { taken: !this.#typing.has(id) };
  }

  /** Ends a command with all that it has started, by SIGTERM first; returns what that did not end. */
  async stop({ id }) {
    const job = this.#job(id);
    const killed = await job.kill({ grace: 1000 });
    const { record } = await job.wait();
    return { how: record.cause, killed: (killed?.killed ?? []).map(({ comm }) => comm) };
  }

  /** Ends all that runs, and forgets the output of the turn before. */
  async end_turn() {
    const ended = {};
    await Promise.all([...this.#jobs].map(async ([id, job]) => {
      await job.kill();
      ended[id] = (await job.wait()).record.cause;
    }));
    await Promise.all([...this.#before.values()].map((job) => job.forget()));
    this.#before = this.#jobs;
    this.#jobs = new Map();
    this.#typing.clear();
    return { ended };
  }

  close() {
    return this.#supervisor.close();
  }

  /** Does what the model asks for, which may be anything. */
  async call(line) {
    try {
      const { tool, ...args } = JSON.parse(line);
      if (!['start', 'look', 'input', 'stop', 'end_turn'].includes(tool)) throw new Error('there is no such tool');
      return await this[tool](args);
    } catch (error) {
      if (!(error instanceof SupervisorLost)) return { error: error.message };
      await this.#beginAnew();
      return { error: 'a command has killed the supervisor: all commands have ended' };
    }
  }

  /** Takes another supervisor. With the one that was killed, by a command that runs as the same user, all its jobs end. */
  async #beginAnew() {
    await this.#supervisor.close().catch(() => {});
    this.#supervisor = new Supervisor();
    for (const jobs of [this.#jobs, this.#before, this.#typing]) jobs.clear();
  }

  #job(id) {
    const job = this.#jobs.get(id) ?? this.#before.get(id);
    if (job === undefined) throw new Error('there is no such command');
    return job;
  }
}

/** How many bytes are whole characters of UTF-8: the rest of one that is cut in two comes with the next look. */
function wholeCharacters(data) {
  for (let back = 1; back <= Math.min(3, data.length); back++) {
    const byte = data[data.length - back];
    if ((byte & 0xc0) === 0x80) continue; // not the first of a character
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? data.length - back : data.length;
  }
  return data.length;
}

const tools = new Tools();
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await tools.call(line)));
}
await tools.close();
