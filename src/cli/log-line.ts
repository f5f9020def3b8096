import { formatDuration, oneLine } from './terminal.js';

type Fields = Readonly<Record<string, unknown>>;

/** What a person reads a line for: why, or what it is about. The first that is there stands behind the message. */
const sentences = ['error', 'message', 'what', 'why'];
/** Told by the line's other parts, or of use to programs alone; a failure's output is in "pointsman logs". */
const untold: ReadonlySet<string> = new Set([
  ...['level', 'time', 'msg', 'project', 'err', 'tail', 'detail', 'deployment', 'configCommit'],
  ...['file', 'line', 'column', 'path'],
]);

/** Which one it is, on lines that follow each other: behind what differs between them. */
const identities = ['revision', 'sourceCommit'];

/**
 * `shop: deployment ended: no answer on port 3000 (outcome failed, took 4.1s, revision 7d01aa55)`: one
 * line, whatever the fields of a log record hold; below it the stack of what was not foreseen.
 */
export function logLine(log: Fields): string {
  const key = sentences.find((each) => typeof log[each] === 'string');
  const head = [textOf(log['project']), textOf(log['msg']), placeOf(log), errorText(log['err'])];
  const parts = [...head, key === undefined ? '' : textOf(log[key])];
  const names = Object.keys(log).filter((name) => name !== key && !untold.has(name));
  const last = identities.filter((name) => names.includes(name));
  const fields = [...names.filter((name) => !last.includes(name)), ...last]
    .map((name) => fieldText(name, log[name]))
    .filter((text) => text !== '');
  const line = parts.filter((part) => part !== '').join(': ');
  return `${line}${fields.length === 0 ? '' : ` (${fields.join(', ')})`}${stackOf(log['err'])}`;
}

/** Nothing for what is not there, and for a no. */
function fieldText(name: string, value: unknown): string {
  if (value === true) return oneLine(name);
  if (name === 'phases' && isFields(value)) {
    const took = Object.values(value).reduce<number>((sum, ms) => sum + Number(ms), 0);
    return `took ${formatDuration(took)}`;
  }
  const text = textOf(value);
  return text === '' ? '' : `${oneLine(name)} ${text}`;
}

/** Lists with blanks between, and the first characters of hashes. */
function textOf(value: unknown): string {
  if (value === null || value === undefined || value === false) return '';
  if (Array.isArray(value)) return value.map(textOf).join(' ');
  if (isFields(value))
    return Object.entries(value)
      .map(([name, inner]) => fieldText(name, inner))
      .filter((text) => text !== '')
      .join(' ');
  return oneLine(String(value)).replace(/^(?:sha256:)?([0-9a-f]{8})[0-9a-f]{12,}$/, '$1');
}

/** `projects/a.yaml:4:9 /run/port` of a problem in a file; of any other file its name. */
function placeOf({ file, line, column, path }: Fields): string {
  if (typeof file !== 'string' || file === '') return '';
  const place = typeof line === 'number' && line > 0 ? `${file}:${line}:${String(column)}` : file;
  return oneLine(typeof path === 'string' && path !== '' ? `${place} ${path}` : place);
}

/** The message of an error that log.ts has made plain, and of what caused it. */
function errorText(err: unknown): string {
  if (!isFields(err)) return '';
  return [textOf(err['message']), errorText(err['cause'])].filter((part) => part !== '').join(': ');
}

function stackOf(err: unknown): string {
  if (!isFields(err) || typeof err['stack'] !== 'string') return '';
  const frames = err['stack'].split('\n').filter((line) => /^\s+at /.test(line));
  return frames.map((frame) => `\n    ${oneLine(frame)}`).join('');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
