import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import type { Output } from './io.js';

export type Colours = ReturnType<typeof pc.createColors>;

/** Colours on a terminal that has them, unless `NO_COLOR` is set to anything (https://no-color.org). */
export function hasColours(output: Output, env: Readonly<Record<string, string | undefined>>): boolean {
  return output.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

export function coloursFor(output: Output, env: Readonly<Record<string, string | undefined>>): Colours {
  return pc.createColors(hasColours(output, env));
}

/** Columns of a terminal; null when the output is a file or a pipe, which has no width. */
export function widthOf(output: Output): number | null {
  return output.isTTY === true ? Math.max(output.columns ?? 80, 20) : null;
}

/** Control characters, and those that turn the direction of writing. */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g;

/** One line that cannot move the cursor, whoever wrote it: what cannot be printed becomes a space. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text).replace(unprintable, ' ').trim();
}

/** `text` in at most `width` characters, with `…` where it was cut; all of it for a width of null. */
export function cut(text: string, width: number | null): string {
  if (width === null || text.length <= width) return text;
  return width < 1 ? '' : `${text.slice(0, width - 1)}…`;
}

/** The first eight characters of a hash, revision or image id; `-` for none. */
export function shortHash(hash: string | null): string {
  return hash === null || hash === '' ? '-' : oneLine(hash.replace(/^sha256:/, '')).slice(0, 8);
}

/** `12s`, `5m`, `3h`, `4d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(Math.floor(ms / 1_000), 0);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** `850ms`, `4.1s`, `2m05s`, `1h03m`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1_000);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3_600)}h${two(Math.floor((seconds % 3_600) / 60))}m`;
}

/** Age of an ISO time; `-` for none. */
export function ageOf(time: string | null, now: number): string {
  return time === null ? '-' : formatAge(now - Date.parse(time));
}

/** `2026-11-20 10:00:05`, in the zone of this machine. */
export function formatTime(time: string): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}
