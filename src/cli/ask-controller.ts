import type { Command } from 'commander';
import { sendControl } from '../record/control.js';
import type { ControlRequest } from '../record/control.js';
import { settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { exitCodes, print, printJson } from './io.js';
import { oneLine } from './terminal.js';

/** Asks the running controller and prints its answer. Exit code 1 when the answer is no. */
export async function askController(
  context: CliContext,
  command: Command,
  request: ControlRequest,
  options: { readonly json?: boolean },
): Promise<number> {
  const { io } = context;
  const { stateDir } = await settingsFor(context, command);
  const reply = await sendControl(stateDir, request, { signal: io.interrupt });
  if (options.json === true) await printJson(io, reply);
  else await print(io, `${oneLine(reply.message)}\n`, reply.ok ? io.stdout : io.stderr);
  return reply.ok ? exitCodes.done : exitCodes.no;
}
