import { isMap, isScalar, isSeq, type ParsedNode } from 'yaml';
import { shown } from './problems.js';

interface Child {
  /** Offset of the key; null for an item of a list. */
  readonly key: number | null;
  readonly value: ParsedNode | null;
}

/** Finds parts of one document's tree by their path. */
export interface TreeLookup {
  readonly node: (segments: readonly string[]) => ParsedNode | null;
  /** Offset of the key or value at `segments`, or of the nearest part around it; null for an empty document. */
  readonly offset: (segments: readonly string[], at: 'key' | 'value') => number | null;
}

export function lookupIn(contents: ParsedNode | null): TreeLookup {
  const known = new Map<ParsedNode, ReadonlyMap<string, Child>>();
  const childOf = (node: ParsedNode | null, segment: string): Child | null => {
    if (node === null) return null;
    const children = known.get(node) ?? childrenOf(node);
    known.set(node, children);
    return children.get(segment) ?? null;
  };
  return {
    node: (segments) => {
      let node = contents;
      for (const segment of segments) node = childOf(node, segment)?.value ?? null;
      return node;
    },
    offset: (segments, at) => {
      let node = contents;
      let offset = contents?.range[0] ?? null;
      for (const [index, segment] of segments.entries()) {
        const child = childOf(node, segment);
        if (child === null) return offset;
        const isLast = index === segments.length - 1;
        const value = child.value?.range[0];
        offset = (isLast && at === 'value' ? (value ?? child.key) : (child.key ?? value)) ?? offset;
        node = child.value;
      }
      return offset;
    },
  };
}

/** Of a key that is given twice, the first one counts. */
function childrenOf(node: ParsedNode): ReadonlyMap<string, Child> {
  const children = new Map<string, Child>();
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      children.set(String(index), { key: null, value: item as ParsedNode | null });
    }
  }
  if (isMap<ParsedNode, ParsedNode | null>(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key) || typeof key.value !== 'string' || children.has(key.value)) continue;
      children.set(key.value, { key: key.range[0], value });
    }
  }
  return children;
}

/** Values of every top-level key `key` that are text. */
export function topLevelTexts(contents: ParsedNode | null, key: string): readonly string[] {
  if (!isMap<ParsedNode, ParsedNode | null>(contents)) return [];
  return contents.items
    .filter((pair) => isScalar(pair.key) && pair.key.value === key)
    .map((pair) => (isScalar(pair.value) ? pair.value.value : null))
    .filter((value) => typeof value === 'string');
}

/** What stands at `node`, as one short line. */
export function receivedText(text: string, node: ParsedNode | null): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node)) return 'empty';
  if (typeof node.value === 'string') return shown(JSON.stringify(node.value));
  if (node.value === null) return 'empty';
  return `${shown(text.slice(node.range[0], node.range[1]))} (a ${typeof node.value})`;
}
