/** Which projects may go, and why the others may not. */
export interface RemovalsInput {
  /** Null for a folder that is not committed yet. */
  readonly configCommit: string | null;
  /** Projects that are there: containers or site files of ours. */
  readonly existing: readonly string[];
  /** Names that a manifest claims, usable or not. */
  readonly declared: ReadonlySet<string>;
  /** From the config repository: absence cannot be trusted at this commit. */
  readonly heldBecause: string | null;
  /** `prune.maxShare`, 0 to 1. */
  readonly maxShare: number;
  /** `pointsman prune --confirm` named this commit. */
  readonly confirmed: boolean;
}

export interface Removals {
  readonly gone: readonly string[];
  /** Null: they may go. */
  readonly heldBecause: string | null;
}

export function planRemovals(input: RemovalsInput): Removals {
  const gone = input.existing.filter((name) => !input.declared.has(name)).sort();
  return { gone, heldBecause: gone.length === 0 || input.confirmed ? null : reasonToHold(input, gone) };
}

function reasonToHold(input: RemovalsInput, gone: readonly string[]): string | null {
  const release =
    input.configCommit === null
      ? 'once committed they are held back; to remove them then: pointsman prune --confirm COMMIT, with the hash of that commit'
      : `to remove them: pointsman prune --confirm ${input.configCommit}`;
  const names = gone.slice(0, 5).join(', ') + (gone.length > 5 ? ` and ${gone.length - 5} more` : '');
  if (input.heldBecause !== null) return `removal of ${names} is held back: ${input.heldBecause}; ${release}`;
  const share = gone.length / input.existing.length;
  if (gone.length > 1 && share > input.maxShare) {
    return `removal of ${names} is held back: ${gone.length} of ${input.existing.length} projects would go, more than prune.maxShare ${input.maxShare}; ${release}`;
  }
  return null;
}
