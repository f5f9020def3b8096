import { formatBlock, overlap, parseBlock, parseRoutes } from '../../runtime/addresses.js';
import type { Block } from '../../runtime/addresses.js';
import { fail, ok, warn } from './finding.js';
import type { Finding } from './finding.js';

/**
 * Whether others use addresses of the pool. `routeTable` is the text of /proc/net/route, `own` the
 * interfaces of our own networks; null when they are not known: then bridges of the engine are passed over.
 */
export function checkAddresses(
  routeTable: string,
  addressPool: string,
  own: ReadonlySet<string> | null,
): readonly Finding[] {
  const pool = parseBlock(addressPool);
  if (pool === null || pool.bits > 28) {
    return [
      fail('addresses', `docker.addressPool ${addressPool} holds no /28`, 'set a block like 10.213.0.0/16'),
    ];
  }
  const isOwn = (name: string): boolean => own?.has(name) ?? /^br-[0-9a-f]{12}$/.test(name);
  const others = routesOf(routeTable).filter(({ name, block }) => !isOwn(name) && overlap(block, pool));
  const findings = others.map(({ name, block }) => conflict(name, block, pool, addressPool));
  return findings.length > 0 ? findings : [ok('addresses', `no other route leads into ${addressPool}`)];
}

function conflict(name: string, block: Block, pool: Block, addressPool: string): Finding {
  const mend = 'set docker.addressPool to a block that nothing else uses';
  const route = `the route to ${formatBlock(block)} over ${name}`;
  if (block.bits <= pool.bits) {
    return warn(
      'addresses',
      `${route} covers docker.addressPool ${addressPool}: hosts there with these addresses become unreachable`,
      mend,
    );
  }
  return warn(
    'addresses',
    `${route} lies in docker.addressPool ${addressPool}: its addresses are passed over`,
    mend,
  );
}

/** Routes with their interface, without the default one. */
function routesOf(text: string): { readonly name: string; readonly block: Block }[] {
  const [header = '', ...lines] = text.trim().split('\n');
  return lines.flatMap((line) => {
    const name = line.trim().split(/\s+/)[0] ?? '';
    return parseRoutes(`${header}\n${line}`).map((block) => ({ name, block }));
  });
}
