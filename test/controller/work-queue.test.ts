import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/log.js';
import { WorkQueue } from '../../src/controller/work-queue.js';
import { settle } from '../support/manual-clock.js';

/** Work that ends when told, and a record of what began. */
function controlled() {
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const queue = new WorkQueue((key) => {
    began.push(key);
    return new Promise<void>((resolve) => ends.set(key, resolve));
  }, silentLogger);
  const end = async (key: string): Promise<void> => {
    ends.get(key)?.();
    await settle();
  };
  return { began, end, queue };
}

describe('WorkQueue', () => {
  it('makes one more pass of however many requests during a pass', async () => {
    const { began, end, queue } = controlled();
    queue.trigger('shop');
    queue.trigger('shop');
    queue.trigger('shop');
    await settle();
    expect(began).toEqual(['shop']);
    await end('shop');
    expect(began).toEqual(['shop', 'shop']);
    await end('shop');
    expect(queue.size).toBe(0);
  });

  it('makes no more pass of requests that a look in it came after', async () => {
    let look = (): void => undefined;
    let end = (): void => undefined;
    let passes = 0;
    const queue = new WorkQueue((_key, looking) => {
      passes += 1;
      look = looking;
      return new Promise((resolve) => (end = resolve));
    }, silentLogger);
    queue.trigger('shop');
    queue.trigger('shop');
    look();
    end();
    await queue.idle();
    expect(passes).toBe(1);
    queue.trigger('shop');
    look();
    queue.trigger('shop');
    end();
    await settle();
    expect(passes).toBe(3);
    end();
    await queue.idle();
  });

  it('lets projects not wait for each other', async () => {
    const { began, end, queue } = controlled();
    queue.trigger('slow');
    queue.trigger('quick');
    await settle();
    expect(began).toEqual(['slow', 'quick']);
    await end('quick');
    expect(queue.size).toBe(1);
    await end('slow');
  });

  it('goes on after work that throws', async () => {
    let calls = 0;
    const queue = new WorkQueue(async () => {
      calls += 1;
      throw new Error('no');
    }, silentLogger);
    queue.trigger('shop');
    await queue.idle();
    queue.trigger('shop');
    await queue.idle();
    expect(calls).toBe(2);
  });

  it('takes nothing new once closed, and waits for what is on', async () => {
    const { began, end, queue } = controlled();
    queue.trigger('shop');
    queue.trigger('shop');
    const closed = queue.close();
    queue.trigger('other');
    await end('shop');
    await closed;
    expect(began).toEqual(['shop']);
  });
});
