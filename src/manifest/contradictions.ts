import { dotted, pointer, shown } from './problems.js';
import type { Problem } from './project.js';
import type { SourceDocument } from './source-document.js';
import type { WrittenProject } from './written.generated.js';
import { normaliseAbsolutePath } from './paths.js';

/** What the schema cannot say: parts of one manifest that contradict each other. */
export function findContradictions(document: SourceDocument, written: WrittenProject): readonly Problem[] {
  return [
    ...contradictionsOfEnvironment(document, written),
    ...repeated(document, written.run?.volumes?.map(({ name }) => name) ?? [], ['run', 'volumes'], 'name'),
    ...repeated(
      document,
      written.run?.volumes?.map(({ path }) => normaliseAbsolutePath(path) ?? path) ?? [],
      ['run', 'volumes'],
      'path',
    ),
    ...repeated(document, written.route?.domains?.map((domain) => domain.toLowerCase()) ?? [], [
      'route',
      'domains',
    ]),
    ...emptyPrograms(document, written),
  ];
}

function contradictionsOfEnvironment(document: SourceDocument, written: WrittenProject): readonly Problem[] {
  const { env = {}, secrets = [] } = written.run ?? {};
  const problems: Problem[] = [];
  if (Object.hasOwn(env, 'PORT')) {
    const message = 'run.env.PORT is set by pointsman: remove it and set run.port';
    problems.push(problemAt(document, ['run', 'env', 'PORT'], 'key', message));
  }
  for (const [index, name] of secrets.entries()) {
    const segments = ['run', 'secrets', String(index)];
    if (name === 'PORT') {
      const message = 'run.secrets holds PORT, which is set by pointsman: remove it and set run.port';
      problems.push(problemAt(document, segments, 'value', message));
    } else if (Object.hasOwn(env, name)) {
      const message = `run.secrets holds ${shown(name)}, which run.env sets as well: keep one of them`;
      problems.push(problemAt(document, segments, 'value', message));
    }
  }
  return problems;
}

function repeated(
  document: SourceDocument,
  values: readonly string[],
  list: readonly string[],
  key?: string,
): readonly Problem[] {
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    const isNew = !seen.has(value);
    seen.add(value);
    if (isNew) return [];
    const segments = [...list, String(index), ...(key === undefined ? [] : [key])];
    const message = `${dotted(segments)} is ${JSON.stringify(shown(value))}, which an earlier entry is too: keep one of them`;
    return [problemAt(document, segments, 'value', message)];
  });
}

function emptyPrograms(document: SourceDocument, written: WrittenProject): readonly Problem[] {
  return (['run', 'release'] as const).flatMap((part) => {
    const segments = [part, 'command', '0'];
    return written[part]?.command?.[0] === ''
      ? [problemAt(document, segments, 'value', `${dotted(segments)} is empty: name the program`)]
      : [];
  });
}

function problemAt(
  document: SourceDocument,
  segments: readonly string[],
  at: 'key' | 'value',
  message: string,
): Problem {
  return { file: document.file, ...document.place(segments, at), path: pointer(segments), message };
}
