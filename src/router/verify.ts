import { request } from 'node:http';
import { PointsmanError, messageOf } from '../errors.js';
import { joinSignals } from '../signals.js';

const answerWithinMs = 2_000;

/** Asks nginx's verify server on a fresh connection. @throws PointsmanError NginxUnavailable */
export function askNginx(verify: string, path: string, signal?: AbortSignal): Promise<string> {
  const [host, port] = splitAddress(verify);
  const timeout = AbortSignal.timeout(answerWithinMs);
  const bounded = joinSignals(timeout, signal);
  const answered = new Promise<string>((resolve, reject) => {
    const fail = (error: unknown): void => {
      if (signal?.aborted === true) reject(signal.reason as Error);
      else {
        const why = timeout.aborted ? `nothing within ${answerWithinMs / 1000} s` : messageOf(error);
        const message = `nginx does not answer on ${verify}${path}: ${why}`;
        reject(new PointsmanError('NginxUnavailable', message, { cause: error }));
      }
    };
    const outgoing = request({ host, port, path, agent: false, signal: bounded.signal }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (body += part.slice(0, 1_000)));
      response.on('error', fail);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(body.trim());
        else fail(new Error(`it answers ${response.statusCode ?? 'nothing'}: another server listens there`));
      });
    });
    outgoing.on('error', fail);
    outgoing.end();
  });
  return answered.finally(bounded.release);
}

export function splitAddress(address: string): readonly [host: string, port: number] {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at).replace(/^\[|\]$/g, ''), Number(address.slice(at + 1))];
}
