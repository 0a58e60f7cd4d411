'use strict';
// The scripted server is held to the conformance script.

const test = require('node:test');
const { conversations, replay } = require('./conformance.js');
const { SCRIPT, temporaryDirectory } = require('./place.js');
const { addScripts } = require('./scripts.js');
const { ScriptedServer } = require('../testing/index.js');
const { LineReader } = require('../lib/lines.js');

for (const containment of ['cgroup', 'subreaper']) {
  test(`the scripted server conforms: ${containment}`, { skip: SCRIPT === undefined }, async (t) => {
    for (const steps of conversations(SCRIPT, containment)) {
      await t.test(steps[0].conversation, async (t) => {
        const features = steps.find(({ expect }) => Array.isArray(expect?.result?.features))?.expect.result.features;
        const server = new ScriptedServer({ containment, features, cwd: temporaryDirectory(t), env: process.env, refuse });
        const channel = addScripts(server).channel();
        t.after(() => channel.unref());
        await replay(steps, peerOf(channel));
      });
    }
  });
}

function refuse(name) {
  return name === 'memory.no-such-file' ? 'there is no such file' : undefined;
}

/** Makes a peer of the replay of a channel. */
function peerOf(channel) {
  const lines = [];
  let wake = () => {};
  const reader = new LineReader((line) => { lines.push(line); wake(); });
  channel.start({ chunk: (bytes) => reader.take(bytes), over: () => { lines.push(null); wake(); } });
  return {
    write: (text) => channel.write(text),
    end: () => channel.end(),
    status: async () => 0,
    async line() {
      while (lines.length === 0) await new Promise((resolve) => { wake = resolve; });
      return lines.shift();
    },
  };
}
