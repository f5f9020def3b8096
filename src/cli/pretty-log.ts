import pretty from 'pino-pretty';
import { logLine } from './log-line.js';

/** Takes the JSON lines of a logger and writes lines for people to `output`. */
export function prettyLog(
  output: NodeJS.WritableStream,
  options: { readonly colour: boolean },
): NodeJS.WritableStream {
  return pretty({
    destination: output,
    colorize: options.colour,
    hideObject: true,
    // It would stand in front of the message; the fields tell it.
    ignore: 'pid',
    messageFormat: (log) => logLine(log),
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
}
