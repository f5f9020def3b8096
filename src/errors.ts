/**
 * What went wrong, in the field's words, and what the loop does about it:
 *
 * - `retry`: try again with backoff. Before anything runs without limit; inside a deployment
 *   `retries.attempts` times, then the project is `failed` until its revision changes.
 * - `stall`: final for this revision at once; trying the same thing again cannot help.
 * - `wait`: something outside the revision has to change first; looked at again at every pass.
 */
const reactions = {
  // before anything runs
  SourceUnreachable: 'retry',
  SourceCorrupt: 'retry',
  RefMissing: 'retry',
  CommitMissing: 'retry',
  ImagePullFailed: 'retry',
  PathMissing: 'stall',
  UnsupportedRepository: 'stall',
  PolicyRefused: 'stall',
  // inside a deployment
  DockerfileMissing: 'stall',
  BuildFailed: 'stall',
  BuildTimedOut: 'stall',
  ReleaseFailed: 'stall',
  ReleaseTimedOut: 'stall',
  StartFailed: 'retry',
  ContainerExited: 'retry',
  ProbeFailed: 'retry',
  SwitchFailed: 'retry',
  BakeFailed: 'stall',
  CrashLooping: 'wait',
  // outside of the project's revision
  NameTaken: 'wait',
  DomainHeld: 'wait',
  RouteRefused: 'wait',
  AddressesExhausted: 'wait',
  SecretMissing: 'wait',
  SecretUnreadable: 'wait',
  SecretKeyMissing: 'wait',
  JournalUnwritable: 'wait',
  RemovalHeld: 'wait',
  DockerUnavailable: 'retry',
  NginxUnavailable: 'retry',
  // start-up and command line
  SettingsInvalid: 'stall',
  ManifestInvalid: 'wait',
  AlreadyRunning: 'stall',
  NotRunning: 'stall',
  Usage: 'stall',
} as const satisfies Record<string, Reaction>;

export type Reaction = 'retry' | 'stall' | 'wait';
export type ErrorCode = keyof typeof reactions;

/**
 * The one error of the project. `message` is lower case, has no full stop, names the value that was
 * wrong and says what to do. `detail` is for the journal and the log; it never holds a secret.
 */
export class PointsmanError extends Error {
  override readonly name = 'PointsmanError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly detail?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.detail = options.detail ?? {};
  }

  readonly detail: Readonly<Record<string, unknown>>;

  get reaction(): Reaction {
    return reactions[this.code];
  }
}

export function reactionTo(code: ErrorCode): Reaction {
  return reactions[code];
}

/** True for the rejection that an aborted signal causes, whoever made it. */
export function isAbort(error: unknown, signal?: AbortSignal): boolean {
  if (signal?.aborted === true && error === signal.reason) return true;
  return (
    error instanceof Error &&
    (error.name === 'AbortError' || (error as { code?: unknown }).code === 'ABORT_ERR')
  );
}

/** Longest message of an error in status, journal and logs, characters. */
const longestMessage = 4_000;

/** A caught value as one line, for logs and status. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return shortened(redact(text.replace(/\s+/g, ' ').trim()));
}

/** What others wrote, in at most some 4,000 characters: its beginning and its end, which say the most. */
export function shortened(text: string): string {
  if (text.length <= longestMessage) return text;
  const half = longestMessage / 2;
  return `${text.slice(0, half)} … ${text.slice(-half)}`;
}

/** Takes user and password out of every URL in `text`. */
export function redact(text: string): string {
  // Most text has none, and is looked at for every line of log and status.
  if (!text.includes('://')) return text;
  // A scheme is short. Without that, a long word would be tried from each of its letters to its end.
  return text.replace(/([a-z][a-z0-9+.-]{0,30}:\/\/)[^/\s@]+@/gi, '$1');
}

/** What the system refuses, as one line, with its mend where there is one. */
export function withMend(error: unknown): string {
  const mend = mends[(error as NodeJS.ErrnoException | null)?.code ?? ''];
  return mend === undefined ? messageOf(error) : `${messageOf(error)}; ${mend}`;
}

const mends: Readonly<Record<string, string>> = {
  EACCES: "run this as the controller's user, root as a rule",
  EPERM: "run this as the controller's user, root as a rule",
  EROFS: 'make the file system writable, or name another stateDir',
  ENOSPC: 'free space on that disk',
};
