import Table from 'cli-table3';
import { cut, oneLine } from './terminal.js';
import type { Colours } from './terminal.js';

export interface Column {
  readonly title: string;
  /** Left out on a narrow terminal, the lowest first; a column without it stays. */
  readonly dropAt?: number;
  readonly align?: 'left' | 'right';
  /** Colours a cell, given its text. */
  readonly paint?: (text: string) => string;
}

const gap = 2;
/** Narrower than this, the last column says nothing; others are left out before. */
const leastLast = 24;

/**
 * Rows under their titles, without lines around them. On a terminal (`width` not null) columns are
 * left out and the last one is cut so that no line wraps. Ends with a line end.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  layout: { readonly width: number | null; readonly colours: Colours },
): string {
  const clean = rows.map((row) => row.map(oneLine));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...clean.map((row) => row[index]?.length ?? 0)),
  );
  const shown = shownColumns(columns, widths, layout.width);
  const lastIndex = shown.at(-1) ?? 0;
  const others = shown.slice(0, -1).reduce((sum, index) => sum + (widths[index] ?? 0) + gap, 0);
  const lastWidth = layout.width === null ? null : Math.max(layout.width - others, 1);
  const table = new Table({
    chars: noLines,
    style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [], compact: true },
    colAligns: shown.map((index) => columns[index]?.align ?? 'left'),
  });
  const cell = (text: string, index: number): string => (index === lastIndex ? cut(text, lastWidth) : text);
  table.push(shown.map((index) => layout.colours.dim(cell(columns[index]?.title ?? '', index))));
  for (const row of clean) {
    table.push(shown.map((index) => (columns[index]?.paint ?? same)(cell(row[index] ?? '', index))));
  }
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

function same(text: string): string {
  return text;
}

/** Indexes of the columns that find room. */
function shownColumns(columns: readonly Column[], widths: readonly number[], width: number | null): number[] {
  const shown = columns.map((_, index) => index);
  if (width === null) return shown;
  const last = columns.length - 1;
  const needed = (): number =>
    shown.reduce(
      (sum, index) =>
        sum + (index === last ? Math.min(widths[index] ?? 0, leastLast) : (widths[index] ?? 0) + gap),
      0,
    );
  const droppable = columns
    .map(({ dropAt }, index) => ({ dropAt, index }))
    .filter((column): column is { dropAt: number; index: number } => column.dropAt !== undefined)
    .sort((a, b) => a.dropAt - b.dropAt);
  for (const { index } of droppable) {
    if (needed() <= width) break;
    shown.splice(shown.indexOf(index), 1);
  }
  return shown;
}

const noLines = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};
