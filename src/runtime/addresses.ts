/** A range of IPv4 addresses, `10.213.0.0/28`: its first address as a number, and its length in bits. */
export interface Block {
  readonly first: number;
  readonly bits: number;
}

/** Every project gets a block of 16 addresses: gateway .1, blue .2, green .3, the upper half for release containers. */
export const projectBits = 28;

/** Null when `text` is not IPv4 CIDR. Host bits are cut off. */
export function parseBlock(text: string): Block | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (match === null) return null;
  const [a, b, c, d, bits] = match.slice(1).map(Number) as [number, number, number, number, number];
  if (Math.max(a, b, c, d) > 255 || bits > 32) return null;
  const size = 2 ** (32 - bits);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { first: address - (address % size), bits };
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

export function formatBlock(block: Block): string {
  return `${formatAddress(block.first)}/${block.bits}`;
}

export function overlap(a: Block, b: Block): boolean {
  return a.first < b.first + 2 ** (32 - b.bits) && b.first < a.first + 2 ** (32 - a.bits);
}

/** How many project blocks `pool` holds. */
export function capacity(pool: Block): number {
  return pool.bits > projectBits ? 0 : 2 ** (projectBits - pool.bits);
}

/** The lowest project block of `pool` that overlaps none of `taken`; null when there is none. */
export function freeBlock(pool: Block, taken: readonly Block[]): Block | null {
  const near = taken.filter((block) => overlap(pool, block));
  for (let index = 0; index < capacity(pool); index += 1) {
    const block = { first: pool.first + index * 2 ** (32 - projectBits), bits: projectBits };
    if (!near.some((other) => overlap(block, other))) return block;
  }
  return null;
}

/** Of a project's block: where the gateway, the slots and the dynamic addresses are. */
export function layout(block: Block): {
  readonly subnet: string;
  readonly gateway: string;
  readonly blue: string;
  readonly green: string;
  /** The upper half: an address that the engine chooses never is a slot's. */
  readonly dynamic: string;
} {
  return {
    subnet: formatBlock(block),
    gateway: formatAddress(block.first + 1),
    blue: formatAddress(block.first + 2),
    green: formatAddress(block.first + 3),
    dynamic: formatBlock({ first: block.first + 8, bits: projectBits + 1 }),
  };
}

/**
 * The destinations in the text of `/proc/net/route` (hexadecimal, in the machine's byte order, little
 * endian on all that Docker runs on), without the default route.
 */
export function parseRoutes(text: string): Block[] {
  const blocks: Block[] = [];
  for (const line of text.split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/);
    const [destination, mask] = [columns[1], columns[7]];
    if (destination === undefined || mask === undefined) continue;
    if (!/^[0-9A-F]{8}$/i.test(destination) || !/^[0-9A-F]{8}$/i.test(mask)) continue;
    const bits = littleEndian(mask).toString(2).replace(/0+$/, '').length;
    if (mask !== '00000000') blocks.push({ first: littleEndian(destination), bits });
  }
  return blocks;
}

function littleEndian(hexadecimal: string): number {
  return Buffer.from(hexadecimal, 'hex').readUInt32LE();
}
