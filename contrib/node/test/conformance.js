'use strict';
// The conformance script (protocol/SERVE.md): reads it, and replays its conversations with a server.

const fs = require('node:fs');
const assert = require('node:assert');

/** Returns the conversations for a containment, each a list of steps whose first one names it. */
function conversations(file, containment) {
  const all = [];
  fs.readFileSync(file, 'utf8').trim().split('\n').forEach((line, i) => {
    const step = { ...JSON.parse(line), number: i + 1 };
    if (step.conversation !== undefined) all.push([]);
    all.at(-1).push(step);
  });
  return all.filter(([first]) => fits(first, containment)).map((steps) => steps.filter((step) => fits(step, containment)));
}

function fits({ only }, containment) {
  return only === undefined || only === containment;
}

/**
 * Replays a conversation.
 * @param {object[]} steps
 * @param {{write(text: string): void, end(): void, line(): Promise<string | null>, status(): Promise<number>}} peer
 */
async function replay(steps, peer) {
  const bound = new Map();
  const skipped = new Set();
  for (const step of steps) {
    try {
      await play(step, peer, bound, skipped);
    } catch (error) {
      error.message = `line ${step.number}: ${error.message}`;
      throw error;
    }
  }
}

async function play(step, peer, bound, skipped) {
  if (step.send !== undefined) peer.write(`${JSON.stringify(replaced(step.send, bound))}\n`);
  else if (step.raw !== undefined) peer.write(step.raw);
  else if (step.repeat !== undefined) peer.write(step.repeat[0].repeat(step.repeat[1]));
  else if (step.skip !== undefined) skipped.add(step.skip);
  else if (step.close) peer.end();
  else if (step.expect !== undefined) expect(step.expect, await said(peer, skipped), bound);
  else if (step.end !== undefined) {
    assert.strictEqual(await said(peer, skipped), null, 'the end of output');
    assert.strictEqual(await peer.status(), step.end);
  }
}

async function said(peer, skipped) {
  for (;;) {
    const line = await peer.line();
    const message = line === null ? null : JSON.parse(line);
    if (message === null || !skipped.has(message.method)) return message;
  }
}

function expect(want, have, bound) {
  const wrong = missing(want, have, bound);
  assert.ok(wrong === undefined, `${wrong}\nwant ${JSON.stringify(want)}\nhave ${JSON.stringify(have)}`);
}

function replaced(value, bound) {
  if (typeof value === 'string') return bound.get(value) ?? value;
  if (Array.isArray(value)) return value.map((one) => replaced(one, bound));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, replaced(one, bound)]));
}

/** Returns what a message lacks of what is wanted; undefined: nothing. */
function missing(want, have, bound) {
  if (Array.isArray(want)) {
    if (!Array.isArray(have) || have.length !== want.length) return `have ${JSON.stringify(have)}`;
    return first(want.map((one, i) => missing(one, have[i], bound)));
  }
  if (typeof want === 'object' && want !== null) {
    if (typeof have !== 'object' || have === null) return `no object: ${JSON.stringify(have)}`;
    return first(Object.keys(want).map((name) => prefixed(name, missing(want[name], have[name], bound))));
  }
  if (typeof want === 'string' && want.startsWith('$')) return unbound(want, have, bound);
  return want === (have ?? null) ? undefined : `have ${JSON.stringify(have)}`;
}

function unbound(name, have, bound) {
  if (have === undefined || have === null) return `there is no ${name}`;
  if (name === '$') return undefined;
  if (!bound.has(name)) bound.set(name, have);
  const value = bound.get(name);
  return value === have ? undefined : `${name} is ${JSON.stringify(value)}, have ${JSON.stringify(have)}`;
}

function prefixed(name, wrong) {
  return wrong === undefined ? undefined : `${name}: ${wrong}`;
}

function first(wrongs) {
  return wrongs.find((wrong) => wrong !== undefined);
}

module.exports = { conversations, replay };
