import { Writable } from 'node:stream';
import type { Clock } from '../clock.js';
import type { ProgressEvent } from '../status-keeper.js';
import type { Output } from './io.js';
import { cut, formatDuration, oneLine, widthOf } from './terminal.js';
import type { Colours } from './terminal.js';

export interface Progress {
  readonly onProgress: (event: ProgressEvent) => void;
  /** Lines written to the result go to `output` above the live ones. For what shares the terminal. */
  above(output: Output): Writable;
  close(): void;
}

interface Shown {
  readonly event: ProgressEvent;
  /** Of the monotonic clock, so that elapsed time goes on between events. */
  readonly startedAt: number;
}

const ended: ReadonlySet<string> = new Set(['active', 'failed', 'cancelled', 'rolled-back']);
/** Live lines at most; further projects are counted in a last one. */
const mostLines = 12;
const redrawMs = 250;

/**
 * Shows deployments as they go: on a terminal one live line per project, elsewhere a line at each
 * change of phase. `close` when nothing further comes: it takes the live lines away.
 */
export function createProgress(options: {
  readonly output: Output;
  readonly clock: Clock;
  readonly colours: Colours;
  /** Whether a live line leaves one behind when its deployment ends; not where a log for people does. */
  readonly tellsEnds: boolean;
}): Progress {
  return options.output.isTTY === true ? new LiveProgress(options) : new PlainProgress(options.output);
}

class PlainProgress implements Progress {
  readonly #phases = new Map<string, string>();

  constructor(private readonly output: Output) {}

  readonly onProgress = (event: ProgressEvent): void => {
    const { project, phase, elapsedMs } = event;
    if (phase === null) this.#phases.delete(project);
    if (phase === null || this.#phases.get(project) === phase) return;
    if (ended.has(phase)) this.#phases.delete(project);
    else this.#phases.set(project, phase);
    const when = ended.has(phase) ? `after ${formatDuration(elapsedMs)}` : `(${formatDuration(elapsedMs)})`;
    this.output.write(`${oneLine(project)}: ${phase} ${when}\n`);
  };

  above(output: Output): Writable {
    return passingOn(output);
  }

  close(): void {
    this.#phases.clear();
  }
}

class LiveProgress implements Progress {
  readonly #output: Output;
  readonly #clock: Clock;
  readonly #colours: Colours;
  readonly #tellsEnds: boolean;
  readonly #projects = new Map<string, Shown>();
  #drawn = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(options: Parameters<typeof createProgress>[0]) {
    this.#output = options.output;
    this.#clock = options.clock;
    this.#colours = options.colours;
    this.#tellsEnds = options.tellsEnds;
  }

  readonly onProgress = (event: ProgressEvent): void => {
    const { project, phase, elapsedMs } = event;
    this.#erase();
    if (phase === null || ended.has(phase)) {
      this.#projects.delete(project);
      if (this.#tellsEnds && phase !== null)
        this.#output.write(`${this.#endLine(project, phase, elapsedMs)}\n`);
    } else {
      this.#projects.set(project, { event, startedAt: this.#clock.monotonic() - elapsedMs });
    }
    this.#draw();
  };

  above(output: Output): Writable {
    return passingOn(output, {
      before: () => this.#erase(),
      after: () => this.#draw(),
    });
  }

  close(): void {
    this.#erase();
    this.#projects.clear();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #erase(): void {
    // Up to the first live line, and everything below it away.
    if (this.#drawn > 0) this.#output.write(`\u001b[${this.#drawn}A\u001b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    const width = widthOf(this.#output);
    const room = Math.max(Math.min(mostLines, (this.#output.rows ?? 24) - 2), 1);
    const all = [...this.#projects.values()];
    const lines = all.slice(0, room).map((shown) => this.#line(shown, width));
    if (all.length > room) lines.push(cut(`and ${all.length - room} more`, width));
    if (lines.length > 0) this.#output.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
    this.#cancelTimer?.();
    this.#cancelTimer = all.length === 0 ? null : this.#clock.timer(redrawMs, () => this.#redraw());
  }

  #redraw(): void {
    this.#erase();
    this.#draw();
  }

  #endLine(project: string, phase: string, elapsedMs: number): string {
    const { green, dim, red } = this.#colours;
    const paint = phase === 'active' ? green : phase === 'cancelled' ? dim : red;
    return `${oneLine(project)} ${paint(phase)} after ${formatDuration(elapsedMs)}`;
  }

  #line({ event, startedAt }: Shown, width: number | null): string {
    const elapsed = formatDuration(Math.max(this.#clock.monotonic() - startedAt, 0));
    const step = event.step === undefined ? '' : ` ${oneLine(event.step)}`;
    const head = `${oneLine(event.project)} ${event.phase} ${elapsed}`;
    const line = cut(`${head}${step}`, width === null ? null : width - 1);
    return `${line.slice(0, head.length)}${this.#colours.dim(line.slice(head.length))}`;
  }
}

function passingOn(
  output: Output,
  around?: { readonly before: () => void; readonly after: () => void },
): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Uint8Array, _encoding, done) {
      around?.before();
      output.write(chunk);
      around?.after();
      done();
    },
  });
}
