import type { Command } from 'commander';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { examine } from './doctor/doctor.js';
import type { DoctorDeps } from './doctor/doctor.js';
import { execute } from './doctor/execute.js';
import type { Finding } from './doctor/finding.js';
import { listenersOf } from './doctor/ports.js';
import { exitCodes, print, printJson } from './io.js';
import { coloursFor, oneLine } from './terminal.js';
import type { Colours } from './terminal.js';
import type { Settings } from '../settings/settings.js';

export function addDoctorCommand(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .summary('check the machine; each finding with its mend')
    .description(
      'Checks settings, Docker, nginx, git, the config repository, addresses, permissions, disk and clock, and says how to ' +
        'mend what is wrong. Changes nothing, and makes nothing in stateDir. Exit code 1 when something will not work.',
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      examples('pointsman doctor', 'pointsman doctor --json | jq \'.findings[] | select(.level != "ok")\''),
    )
    .action(async (options: { json?: boolean }, command: Command) => {
      context.exitCode = await doctor(context, command, options);
    });
}

async function doctor(context: CliContext, command: Command, options: { json?: boolean }): Promise<number> {
  const { io, deps } = context;
  const settings: Settings | { error: unknown } = await settingsFor(context, command).catch(
    (error: unknown) => ({ error }),
  );
  const doctorDeps: DoctorDeps = {
    execute,
    listeners: listenersOf,
    configTip: async (known, signal) => (await deps.backend()).configTip(known, signal),
    now: () => io.clock.now(),
    env: io.env,
  };
  const findings = await examine(settings, doctorDeps, io.interrupt);
  const count = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length;
  const summary = { ok: count('ok'), warn: count('warn'), fail: count('fail') };
  if (options.json === true) await printJson(io, { summary, findings });
  else await print(io, renderFindings(findings, summary, coloursFor(io.stdout, io.env)));
  return summary.fail > 0 ? exitCodes.no : exitCodes.done;
}

function renderFindings(
  findings: readonly Finding[],
  summary: { readonly ok: number; readonly warn: number; readonly fail: number },
  colours: Colours,
): string {
  const widest = Math.max(...findings.map(({ area }) => area.length));
  const lines = findings.map(({ area, level, message, mend }) => {
    const head = `${paintLevel(colours, level)(level.padEnd(4))}  ${colours.dim(area.padEnd(widest))}  ${oneLine(message)}\n`;
    return mend === null
      ? head
      : `${head}${' '.repeat(6 + widest + 2)}${colours.bold('→')} ${oneLine(mend)}\n`;
  });
  return `${lines.join('')}\n${summary.ok} ok, ${summary.warn} to know, ${summary.fail} to mend\n`;
}

function paintLevel(colours: Colours, level: Finding['level']): (text: string) => string {
  switch (level) {
    case 'ok':
      return colours.green;
    case 'warn':
      return colours.yellow;
    case 'fail':
      return colours.red;
  }
}
