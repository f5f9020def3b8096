import { spawn } from 'node:child_process';

/** One worker process on a job (see worker.ts). Resolves to its totals, and its failure if there was one. */
export function run(program, job) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', program, JSON.stringify(job)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const line = output.trim().split('\n').at(-1) ?? '';
      if (code !== 0 || !line.startsWith('{'))
        reject(new Error(`a worker ended with ${code}: ${output.slice(-2000)}`));
      else resolve(JSON.parse(line));
    });
  });
}
