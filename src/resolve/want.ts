import type { ErrorCode } from '../errors.js';
import type { Project } from '../manifest/project.js';

/** What one project should be, as far as it can be told without changing anything but mirrors. */
export type Want =
  /** The config repository could not be read yet: the project stays as it is. */
  | { readonly kind: 'unknown'; readonly message: string }
  /** No manifest. `heldBecause`: the removal is held back and the project stays as it is. */
  | { readonly kind: 'absent'; readonly configCommit: string; readonly heldBecause: string | null }
  /** A manifest that cannot be used: the project stays as it is. */
  | { readonly kind: 'invalid'; readonly message: string }
  /** A manifest whose revision cannot be told now (source unreachable, secret missing …). */
  | {
      readonly kind: 'unresolved';
      readonly project: Project;
      readonly configCommit: string;
      readonly code: ErrorCode;
      readonly message: string;
    }
  /** An image that has to be pulled before its revision is known. */
  | {
      readonly kind: 'unpulled';
      readonly project: Project;
      readonly configCommit: string;
      readonly tag: string;
    }
  | ResolvedWant;

export interface ResolvedWant {
  readonly kind: 'resolved';
  readonly project: Project;
  readonly configCommit: string;
  readonly sourceCommit: string | null;
  /** Tree of the build context; null for an image project. */
  readonly tree: string | null;
  readonly imageKey: string;
  /** `pointsman/<project>:<image key>` */
  readonly tag: string;
  /** Image id when it is at hand. */
  readonly image: string | null;
  readonly revision: string;
  /** Something to tell although the revision is known (the remote did not answer; the last commit counts). */
  readonly warning: string | null;
}
