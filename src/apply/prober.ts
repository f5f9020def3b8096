import { request } from 'node:http';
import { connect } from 'node:net';
import { isAbort, messageOf } from '../errors.js';
import type { HealthSpec } from '../manifest/project.js';
import { joinSignals } from '../signals.js';

/** How a container is asked whether it is healthy. */
export interface Prober {
  /** One probe: a GET that answers within `health.timeout` with a status in range, or a TCP connect. */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult>;
}

export interface ProbeTarget {
  readonly address: string;
  readonly port: number;
  /** `Host` of HTTP probes. */
  readonly host: string;
  readonly health: HealthSpec;
}

export type ProbeResult =
  { readonly ok: true } | { readonly ok: false; readonly why: string; readonly hint: string | null };

/** Over the network, from this machine to the container's own address. */
export const networkProber: Prober = { probe: probeOnce };

async function probeOnce(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const bounded = joinSignals(signal, AbortSignal.timeout(target.health.timeoutMs));
  try {
    if (target.health.path === null) {
      await connectOnce(target, bounded.signal);
      return { ok: true };
    }
    const status = await getOnce(target, target.health.path, bounded.signal);
    const { from, to } = target.health.status;
    if (status >= from && status <= to) return { ok: true };
    return { ok: false, why: `GET ${target.health.path} answered ${status}, not ${from}-${to}`, hint: null };
  } catch (error) {
    signal.throwIfAborted();
    return explain(error, target);
  } finally {
    bounded.release();
  }
}

function explain(error: unknown, { health, port }: ProbeTarget): ProbeResult {
  const what = health.path === null ? 'a TCP connect' : `GET ${health.path}`;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET') {
    const hint = `bind 0.0.0.0, not 127.0.0.1, and listen on PORT (${port})`;
    return {
      ok: false,
      why: `${what} on port ${port}: connection ${code === 'ECONNRESET' ? 'reset' : 'refused'}`,
      hint,
    };
  }
  if (isAbort(error) || (error as Error).name === 'TimeoutError') {
    return { ok: false, why: `${what} on port ${port}: no answer within ${health.timeoutMs} ms`, hint: null };
  }
  return { ok: false, why: `${what} on port ${port}: ${messageOf(error)}`, hint: null };
}

function getOnce(target: ProbeTarget, path: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: target.host, 'user-agent': 'pointsman', connection: 'close' };
    const options = {
      host: target.address,
      port: target.port,
      path,
      method: 'GET',
      agent: false as const,
      headers,
      signal,
    };
    const outgoing = request(options, (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function connectOnce(target: ProbeTarget, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.address, port: target.port });
    const onAbort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve();
    });
    socket.once('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
  });
}
