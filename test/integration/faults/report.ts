/** What the fault tests share: their form, their chance, and the account of what they did. */
import { appendFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { endState, expectUnnoticed, resetsIn, type EndState } from '../../support/settled.js';
import type { Client } from '../../support/client.js';
import type { Scenario } from '../../support/scenario.js';

/** `POINTSMAN_FAULTS=full` for the whole; everything else is the short form. */
export const isFull = process.env['POINTSMAN_FAULTS'] === 'full';

/** Of the moments at which something is killed; `POINTSMAN_FAULTS_SEED` repeats a run. */
export const seed = Number(process.env['POINTSMAN_FAULTS_SEED'] ?? Date.now() % 1_000_000);

/** mulberry32: numbers from 0 to 1 that follow from the seed. */
export function randomNumbers(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A line of the account, which the run sums up. */
export type Entry = Account | Observation | Soak;

export interface Account {
  readonly kind: 'account';
  readonly what: string;
  /** Injected. */
  readonly faults: number;
  /** By clients while faults were injected. */
  readonly sent: number;
  readonly failed: number;
  readonly wrong: number;
  /** Of `failed`: requests that nobody could have served, the engine or nginx itself being down or reloaded. */
  readonly unavoidable: number;
}

/** Of the invariants, at one moment. */
export interface Observation {
  readonly kind: 'invariants';
  readonly checked: number;
  readonly broken: readonly string[];
}

export interface Soak {
  readonly kind: 'soak';
  readonly line: string;
}

/**
 * Ends the client's part: nothing lost, nothing wrong. With `reloaded`, nginx was meanwhile, and what that
 * reset is unavoidable.
 */
export async function account(
  what: string,
  faults: number,
  client: Client,
  { reloaded = false } = {},
): Promise<void> {
  const { sent, failed, wrong, reasons } = await client.stop();
  const unavoidable = reloaded ? resetsIn(reasons) : 0;
  await put({ what, faults, sent, failed, wrong, unavoidable });
  expectUnnoticed(client, { reloaded });
}

/** Ends the part of a client that asked while nobody was there to serve: it may lose, and gets nothing wrong. */
export async function accountOutage(what: string, faults: number, client: Client): Promise<void> {
  const { sent, failed, wrong } = await client.stop();
  await put({ what, faults, sent, failed, wrong, unavoidable: failed });
  expect(wrong).toBe(0);
}

/** Faults without a client: nginx reloads, which costs idle connections before 1.27.4. */
export async function accountAlone(what: string, faults: number): Promise<void> {
  await put({ what, faults, sent: 0, failed: 0, wrong: 0, unavoidable: 0 });
}

async function put(entry: Omit<Account, 'kind'>): Promise<void> {
  const { what, faults, sent, failed, unavoidable } = entry;
  const apart = unavoidable === 0 ? '' : ` (${unavoidable} of them unavoidable)`;
  process.stdout.write(`${what}: ${faults} faults, ${sent} requests, ${failed} failed${apart}\n`);
  await note({ kind: 'account', ...entry });
}

export async function note(entry: Entry): Promise<void> {
  const file = process.env['POINTSMAN_FAULTS_ACCOUNT'];
  if (file !== undefined) await appendFile(file, `${JSON.stringify(entry)}\n`);
}

/** What is there when one project is live beside a warm previous version, and nothing else. */
export const atRest: EndState = {
  containers: ['shop idle no running', 'shop live unless-stopped running'],
  networks: 1,
  sites: ['shop.conf'],
  switches: 1,
};

/** Counted among the invariants, as Q2. */
export async function expectAtRest(scenario: Scenario): Promise<void> {
  const found = await endState(scenario);
  const broken = isDeepStrictEqual(found, atRest) ? [] : [`Q2: at rest there is ${JSON.stringify(found)}`];
  await note({ kind: 'invariants', checked: 1, broken });
  expect(found).toEqual(atRest);
}
