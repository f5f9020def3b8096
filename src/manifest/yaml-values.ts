import { isAlias, isMap, isScalar, isSeq, type ParsedNode } from 'yaml';
import { shown } from './problems.js';

/** Something in a YAML tree that a value cannot be made of. */
export interface Found {
  readonly segments: readonly string[];
  readonly offset: number;
  readonly message: string;
}

/** The tags that plain values have anyway. */
const coreTags = new Set(
  ['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((t) => `tag:yaml.org,2002:${t}`),
);

/**
 * The plain data of a YAML node. What it cannot be made of is added to `found`. Calls itself for each
 * level of nesting; the guard bounds the levels.
 */
export function plain(node: ParsedNode | null, segments: readonly string[], found: Found[]): unknown {
  if (node === null) return null;
  const report = (offset: number, message: string): void => void found.push({ segments, offset, message });
  const offset = node.range[0];
  if (isAlias(node)) {
    report(offset, `the alias *${shown(node.source)} is not followed: write the value out`);
    return undefined;
  }
  if (node.anchor !== undefined) report(offset, `the anchor &${shown(node.anchor)} is not used: remove it`);
  if (node.tag !== undefined && !coreTags.has(node.tag)) {
    report(offset, `the tag ${shown(node.tag)} is not known: remove it`);
  }
  if (isScalar(node)) {
    if (typeof node.value === 'string') reportUnusableText(node.value, (message) => report(offset, message));
    return node.value;
  }
  if (isSeq(node)) {
    return node.items.map((item, index) =>
      plain(item as ParsedNode | null, [...segments, String(index)], found),
    );
  }
  return plainMap(node, segments, found);
}

function plainMap(node: ParsedNode, segments: readonly string[], found: Found[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const first = new Set<string>();
  if (!isMap<ParsedNode, ParsedNode | null>(node)) return result;
  for (const { key: keyNode, value } of node.items) {
    // Every other kind of key is a syntax error of the parser's (`stringKeys`).
    if (!isScalar(keyNode) || typeof keyNode.value !== 'string') continue;
    const key = keyNode.value;
    const offset = keyNode.range[0];
    const path = [...segments, key];
    plain(keyNode, path, found);
    const converted = plain(value, path, found);
    if (first.has(key)) {
      found.push({
        segments: path,
        offset,
        message: `the key ${shown(key)} is given twice: keep one of them`,
      });
      continue;
    }
    first.add(key);
    // Defined, not assigned: `__proto__` is a key like any other.
    Object.defineProperty(result, key, {
      value: converted,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return result;
}

function reportUnusableText(value: string, report: (message: string) => void): void {
  if (value.includes('\0'))
    report('the text holds a NUL character, which no program can be given: remove it');
  else if (/\p{Surrogate}/u.test(value))
    report('the text holds half of a character (\\ud800 to \\udfff): remove it');
}
