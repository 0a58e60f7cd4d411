// The same for `import`.
import testing from './index.js';

export const { ScriptedProcess, ScriptedServer } = testing;
