import { dotted, pointer, shown } from '../manifest/problems.js';
import type { Problem } from '../manifest/project.js';
import { parseRepository } from '../manifest/repository.js';
import type { SourceDocument } from '../manifest/source-document.js';
import type { Settings } from './settings.js';
import type { WrittenSettings } from './written.generated.js';

/** A unix socket's path has at most 107 bytes; `/control.sock` and its like come after `stateDir`. */
const longestStateDir = 90;

type WrittenCredential = Pick<WrittenSettings['configRepo'], 'tokenFile' | 'sshKeyFile' | 'knownHostsFile'>;

/** What the schema cannot say: settings that contradict each other, or cannot be used. */
export function findContradictions(
  document: SourceDocument,
  written: WrittenSettings,
  settings: Settings,
): readonly Problem[] {
  const at = (segments: readonly string[], message: string): Problem => ({
    file: document.file,
    ...document.place(segments, 'value'),
    path: pointer(segments),
    message: `${dotted(segments)} ${message}`,
  });
  const problems = wrongCredential(['configRepo'], written.configRepo, written.configRepo.url, at);
  for (const [index, entry] of (written.credentials ?? []).entries()) {
    const segments = ['credentials', String(index)];
    if (entry.tokenFile === undefined && entry.sshKeyFile === undefined) {
      problems.push(at(segments, 'names no credential: add tokenFile or sshKeyFile'));
    }
    problems.push(...wrongCredential(segments, entry, entry.prefix, at));
  }
  if (settings.retries.maxBackoffMs < settings.retries.backoffMs) {
    problems.push(at(['retries', 'maxBackoff'], 'is less than retries.backoff: make it at least as long'));
  }
  if (Buffer.byteLength(settings.stateDir) > longestStateDir) {
    const bytes = Buffer.byteLength(settings.stateDir);
    problems.push(
      at(
        ['stateDir'],
        `has ${bytes} bytes, ${longestStateDir} are allowed for the sockets in it: use a shorter path`,
      ),
    );
  }
  // A relative path takes on the characters of the settings' own folder.
  if (/[\s"'`;{}$\\#*?[\]]/.test(settings.stateDir)) {
    problems.push(
      at(
        ['stateDir'],
        `is ${JSON.stringify(settings.stateDir)}, which nginx would misread: use a path of plain characters`,
      ),
    );
  }
  const socket = written.docker?.socket;
  if (socket !== undefined && /^\w[\w+.-]*:\/\//.test(socket)) {
    problems.push(
      at(
        ['docker', 'socket'],
        `is ${JSON.stringify(shown(socket))}: only a unix socket is used; write its path, such as /var/run/docker.sock`,
      ),
    );
  }
  return problems;
}

function wrongCredential(
  segments: readonly string[],
  { tokenFile, sshKeyFile }: WrittenCredential,
  address: string,
  at: (segments: readonly string[], message: string) => Problem,
): Problem[] {
  const problems: Problem[] = [];
  const parsed = parseRepository(address, 'prefix');
  const scheme = parsed.ok ? parsed.address.scheme : null;
  if (tokenFile !== undefined && sshKeyFile !== undefined) {
    problems.push(
      at([...segments, 'sshKeyFile'], 'stands beside tokenFile: keep the one that fits the address'),
    );
  } else if (tokenFile !== undefined && scheme !== 'https' && scheme !== 'http') {
    problems.push(
      at(
        [...segments, 'tokenFile'],
        'is only used with http(s): use sshKeyFile for ssh, nothing for a local path',
      ),
    );
  } else if (sshKeyFile !== undefined && scheme !== 'ssh') {
    problems.push(
      at(
        [...segments, 'sshKeyFile'],
        'is only used with ssh: use tokenFile for http(s), nothing for a local path',
      ),
    );
  }
  return problems;
}
