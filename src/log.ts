import pino from 'pino';
import pretty from 'pino-pretty';
import { PointsmanError, redact } from './errors.js';

export type Logger = pino.Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  /** Lines for people instead of JSON. */
  readonly pretty: boolean;
  /** Only with `pretty`. */
  readonly colour: boolean;
  readonly output: NodeJS.WritableStream;
}

/** How deep a logged object is looked into; below that it is left out. */
const deepest = 8;

/** How a text is made fit to be logged. */
type Plain = (text: string) => string;

/** What JSON leaves as it is: it would begin a line of its own on a terminal, or move its cursor. */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function printable(text: string): string {
  return redact(text).replace(
    unprintable,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * A logger that writes one JSON line per message to `output`, time as ISO text, level as a word.
 * Every string that passes through has user and password taken out of its URLs; with `pretty` it is
 * printable as well.
 */
export function createLogger(options: LogOptions): Logger {
  const { level, output, colour } = options;
  const plain = options.pretty ? printable : redact;
  const stream = options.pretty
    ? pretty({
        destination: output,
        colorize: colour,
        ignore: 'pid,hostname',
        singleLine: true,
        sync: true,
        translateTime: 'SYS:HH:MM:ss.l',
      })
    : output;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => clean(fields, plain, 0) as Record<string, unknown>,
      },
      // Errors are plain objects when they come here.
      serializers: { err: (err: unknown) => err },
      hooks: {
        logMethod(args, method) {
          const [first, ...rest] = args as unknown[];
          // pino takes the message of a lone error from the error itself, past the formatter.
          const all: unknown[] =
            first instanceof Error && rest.length === 0 ? [{ err: first }, first.message] : args;
          const cleaned = all.map((arg) => (typeof arg === 'string' ? plain(arg) : arg));
          return method.apply(this, cleaned as Parameters<typeof method>);
        },
      },
    },
    stream as pino.DestinationStream,
  );
  // pino asks no formatter about the fields of a child. Children inherit this method.
  const { child } = logger;
  logger.child = function (this: Logger, fields: pino.Bindings, more?: never) {
    return child.call(this, clean(fields, plain, 0) as pino.Bindings, more);
  } as typeof logger.child;
  return logger;
}

/** A logger that says nothing, for commands that only read. */
export const silentLogger: Logger = pino({ level: 'silent' });

function clean(value: unknown, plain: Plain, depth: number): unknown {
  if (typeof value === 'string') return plain(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (depth > deepest) return '…';
  if (value instanceof Error) return cleanError(value, plain, depth);
  if (Array.isArray(value)) return value.map((item) => clean(item, plain, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [plain(key), clean(item, plain, depth + 1)]),
  );
}

function cleanError(error: Error, plain: Plain, depth: number): unknown {
  const fields: Record<string, unknown> = { type: error.name, message: plain(error.message) };
  if ('code' in error) fields['code'] = error.code;
  // Where a foreseen failure was made says nothing to the person who reads the log.
  if (error instanceof PointsmanError)
    Object.assign(fields, { detail: clean(error.detail, plain, depth + 1) });
  else if (error.stack !== undefined) fields['stack'] = redact(error.stack);
  if (error.cause !== undefined) fields['cause'] = clean(error.cause, plain, depth + 1);
  return fields;
}
