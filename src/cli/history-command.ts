import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { readJournal } from '../record/journal.js';
import type { JournalRecord } from '../record/port.js';
import { examples, settingsFor } from './context.js';
import type { CliContext } from './context.js';
import { historyLine, paintWhat } from './history-lines.js';
import { exitCodes, print, printJson } from './io.js';
import { unknownProject } from './known-project.js';
import type { CliIo } from './io.js';
import { renderTable } from './table.js';
import { coloursFor, widthOf } from './terminal.js';

interface HistoryOptions {
  readonly limit: number;
  readonly json?: boolean;
}

export function addHistoryCommand(program: Command, context: CliContext): void {
  program
    .command('history')
    .summary('what was done, newest last')
    .description(
      'Reads the journal; it needs no running controller. Tells how deployments ended, where traffic moved, what was ' +
        'repaired and removed. The phases in between are in the output of --json.',
    )
    .argument('[project]', 'of this one alone')
    .option('-n, --limit <number>', 'entries at most', positive, 20)
    .option(
      '--json',
      'print the records of the journal (schemas/journal.schema.json, without crc) as an array',
    )
    .addHelpText(
      'after',
      examples('pointsman history', 'pointsman history shop --limit 100', 'pointsman history shop --json'),
    )
    .action(async (project: string | undefined, options: HistoryOptions, command: Command) => {
      const { stateDir } = await settingsFor(context, command);
      context.exitCode = await showHistory(context.io, stateDir, project ?? null, options);
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is needed.');
  return value;
}

async function showHistory(
  io: CliIo,
  stateDir: string,
  project: string | null,
  options: HistoryOptions,
): Promise<number> {
  const isShown = options.json === true ? (record: JournalRecord) => record.type !== 'checkpoint' : hasLine;
  const records: JournalRecord[] = [];
  for await (const record of readJournal(stateDir, 'newest-first')) {
    io.interrupt.throwIfAborted();
    if (project !== null && (!('project' in record) || record.project !== project)) continue;
    if (!isShown(record)) continue;
    records.push(record);
    if (records.length >= options.limit) break;
  }
  if (project !== null && records.length === 0) {
    const unknown = await unknownProject(stateDir, project, io.clock);
    if (unknown !== null) throw unknown;
  }
  records.reverse();
  if (options.json === true) await printJson(io, records);
  else await print(io, renderHistory(io, records));
  return exitCodes.done;
}

function hasLine(record: JournalRecord): boolean {
  return historyLine(record) !== null;
}

function renderHistory(io: CliIo, records: readonly JournalRecord[]): string {
  const lines = records.map(historyLine).filter((line) => line !== null);
  if (lines.length === 0) return 'no history\n';
  const colours = coloursFor(io.stdout, io.env);
  const columns = [
    { title: 'WHEN' },
    { title: 'PROJECT' },
    { title: 'REVISION', dropAt: 1 },
    { title: 'COMMIT', dropAt: 3 },
    { title: 'TOOK', dropAt: 2 },
    { title: 'WHAT', paint: paintWhat(colours) },
  ];
  const rows = lines.map(({ when, project, revision, commit, duration, what }) => [
    when,
    project,
    revision,
    commit,
    duration,
    what,
  ]);
  return renderTable(columns, rows, { width: widthOf(io.stdout), colours });
}
