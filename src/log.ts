import pino from 'pino';
import { PointsmanError, redact } from './errors.js';

export type Logger = pino.Logger;
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LogOptions {
  readonly level: LogLevel;
  readonly output: NodeJS.WritableStream;
}

/** How deep a logged object is looked into; below that it is left out. */
const deepest = 8;

/**
 * A logger that writes one JSON line per message to `output`, time as ISO text, level as a word.
 * Every string that passes through has user and password taken out of its URLs.
 */
export function createLogger(options: LogOptions): Logger {
  const { level, output } = options;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => clean(fields, 0) as Record<string, unknown>,
      },
      // Errors are plain objects when they come here.
      serializers: { err: (err: unknown) => err },
      hooks: {
        logMethod(args, method) {
          const [first, ...rest] = args as unknown[];
          // pino takes the message of a lone error from the error itself, past the formatter.
          const all: unknown[] =
            first instanceof Error && rest.length === 0 ? [{ err: first }, first.message] : args;
          const cleaned = all.map((arg) => (typeof arg === 'string' ? redact(arg) : arg));
          return method.apply(this, cleaned as Parameters<typeof method>);
        },
      },
    },
    output as pino.DestinationStream,
  );
  // pino asks no formatter about the fields of a child. Children inherit this method.
  const { child } = logger;
  logger.child = function (this: Logger, fields: pino.Bindings, more?: never) {
    return child.call(this, clean(fields, 0) as pino.Bindings, more);
  } as typeof logger.child;
  return logger;
}

/** A logger that says nothing, for commands that only read. */
export const silentLogger: Logger = pino({ level: 'silent' });

function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redact(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (depth > deepest) return '…';
  if (value instanceof Error) return cleanError(value, depth);
  if (Array.isArray(value)) return value.map((item) => clean(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, clean(item, depth + 1)]));
}

function cleanError(error: Error, depth: number): unknown {
  const fields: Record<string, unknown> = { type: error.name, message: redact(error.message) };
  if ('code' in error) fields['code'] = error.code;
  // Where a foreseen failure was made says nothing to the person who reads the log.
  if (error instanceof PointsmanError) Object.assign(fields, { detail: clean(error.detail, depth + 1) });
  else if (error.stack !== undefined) fields['stack'] = redact(error.stack);
  if (error.cause !== undefined) fields['cause'] = clean(error.cause, depth + 1);
  return fields;
}
