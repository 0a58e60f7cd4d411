'use strict';
// For tests of programs that use this package: a supervisor that starts no processes. See README.md.

const { ScriptedProcess } = require('./process.js');
const { ScriptedServer } = require('./server.js');

module.exports = { ScriptedProcess, ScriptedServer };
