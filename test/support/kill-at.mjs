/**
 * A preload, `node --import kill-at.mjs dist/main.js …`: the process kills itself with SIGKILL at a
 * record of its own journal. KILL_AT holds JSON:
 *
 *   { "record": { "type": "deployment", "to": "starting" }, "when": "after", "skip": 0 }
 *
 * `record`  what the record has to contain, at any depth
 * `when`    before: nothing of the record is written · torn: half of its line is
 *           after: it is durable, and nothing that follows from it has happened
 * `skip`    this many matching records pass first
 *
 * or, for the files that are put in place by a rename or taken away:
 *
 *   { "file": "switch/shop.green", "when": "before" }
 *
 * `file`    the end of the path that is renamed to, or unlinked
 * `when`    before: nothing has happened to it · after: it has, and nothing that follows from it
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

const promises = createRequire(import.meta.url)('node:fs/promises');
const { record: pattern, file: suffix, when, skip = 0 } = JSON.parse(process.env.KILL_AT);
let toPass = skip;

function contains(value, expected) {
  if (expected === null || typeof expected !== 'object') return value === expected;
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(expected).every(([key, each]) => contains(value[key], each));
}

/** Where in `text` the first line stands that matches, once `skip` of them have passed; -1 without one. */
function matchIn(text) {
  let at = 0;
  for (const line of text.split('\n')) {
    if (line !== '' && contains(JSON.parse(line), pattern)) {
      if (toPass === 0) return at;
      toPass -= 1;
    }
    at += Buffer.byteLength(line) + 1;
  }
  return -1;
}

function die() {
  process.kill(process.pid, 'SIGKILL');
}

function watch(handle) {
  const write = handle.write.bind(handle);
  let due = false;
  handle.write = async (buffer, offset, length, position) => {
    const bytes = buffer.subarray(offset, offset + length);
    const at = matchIn(bytes.toString('utf8'));
    if (at >= 0 && when !== 'after') {
      const end = bytes.indexOf(0x0a, at);
      const part = when === 'torn' ? at + Math.floor((end - at) / 2) : at;
      if (part > 0) await write(buffer, offset, part, position);
      die();
    }
    due ||= at >= 0;
    return write(buffer, offset, length, position);
  };
  for (const name of ['sync', 'datasync']) {
    const original = handle[name].bind(handle);
    handle[name] = async () => {
      await original();
      if (due) die();
    };
  }
  return handle;
}

const open = promises.open;
promises.open = async (path, ...rest) => {
  const handle = await open(path, ...rest);
  return pattern !== undefined && basename(String(path)) === 'journal.jsonl' ? watch(handle) : handle;
};

/** `pathOf` picks the path that the call puts in place or takes away from its arguments. */
function dieAround(name, pathOf) {
  const original = promises[name];
  promises[name] = async (...args) => {
    const due = String(pathOf(args)).endsWith(suffix) && (toPass -= 1) < 0;
    if (due && when === 'before') die();
    const result = await original(...args);
    if (due) die();
    return result;
  };
}

if (suffix !== undefined) {
  dieAround('rename', ([, to]) => to);
  dieAround('unlink', ([path]) => path);
}
// `import { open } from 'node:fs/promises'` sees it too.
syncBuiltinESMExports();
