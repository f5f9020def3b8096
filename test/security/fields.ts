/** A place in a document: property names, `*` for any entry of a map, `0` for an entry of a list. */
export type Field = readonly string[];

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** Every place a schema names, branches and leaves; so a field that is added is covered by itself. */
export function fieldsOf(root: object): readonly Field[] {
  const found = new Map<string, Field>();
  const visit = (given: Schema, at: Field): void => {
    const { $ref } = given;
    const schema = $ref === undefined ? given : (root as Schema).$defs?.[$ref.replace('#/$defs/', '')];
    if (schema === undefined) throw new Error(`schema reference ${$ref} leads nowhere`);
    if (at.length > 0) found.set(at.join('/'), at);
    for (const [name, inner] of Object.entries(schema.properties ?? {})) visit(inner, [...at, name]);
    if (schema.items !== undefined) visit(schema.items, [...at, '0']);
    if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties, [...at, '*']);
    for (const inner of [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? [])])
      visit(inner, at);
  };
  visit(root as Schema, []);
  return [...found.values()];
}

/** `base` with `value` (as it stands in YAML) at `field`, in flow style. `key` stands for `*`. */
export function documentWith(
  base: Readonly<Record<string, unknown>>,
  field: Field,
  value: string,
  key = 'KEY',
): string {
  const mark = '@@hostile@@';
  const copy = structuredClone(base) as Record<string, unknown>;
  let at: Record<string, unknown> | unknown[] = copy;
  field.forEach((step, index) => {
    const name = step === '*' ? key : step;
    const next: unknown =
      index === field.length - 1
        ? mark
        : field[index + 1] === '0'
          ? []
          : ((at as Record<string, unknown>)[name] ?? {});
    if (Array.isArray(at)) at[0] = next;
    else
      Object.defineProperty(at, name, { value: next, enumerable: true, configurable: true, writable: true });
    at = next as Record<string, unknown>;
  });
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => value);
}
