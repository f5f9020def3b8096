import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettingsOrThrow } from '../../src/cli/load-settings.js';
import { PointsmanError } from '../../src/errors.js';
import { cli, settingsIn, startCli, temporaryFolder } from './cli.js';

const commands = [
  'run',
  'plan',
  'validate',
  'status',
  'history',
  'logs',
  'sync',
  'retry',
  'prune',
  'doctor',
  'init',
];

describe('help', () => {
  it('lists every command, and the exit codes', async () => {
    const { code, out, err } = await cli(['--help']);
    expect([code, err]).toEqual([0, '']);
    for (const command of commands) expect(out).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect(out).toContain('130 143');
  });

  it.each(commands)('of %s tells what it does, its options and examples, on stdout', async (command) => {
    const { code, out, err } = await cli([command, '--help']);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(new RegExp(`^Usage: pointsman ${command}`));
    expect(out).toContain(`Examples:\n  pointsman ${command}`);
    expect(out).toContain('--config <file>');
    expect((await cli(['help', command])).out).toBe(out);
  });

  it.each(['plan', 'validate', 'status', 'history', 'logs', 'sync', 'retry', 'prune', 'doctor', 'init'])(
    'of %s, which reports, offers --json',
    async (command) => {
      expect((await cli([command, '--help'])).out).toContain('--json');
    },
  );

  it('fits a narrow terminal', async () => {
    const { out } = await cli(['status', '--help'], { columns: 60, env: { NO_COLOR: '1' } });
    const prose = out.slice(0, out.indexOf('Examples:'));
    for (const line of prose.split('\n')) expect(line.length).toBeLessThanOrEqual(60);
  });
});

it('prints its version', async () => {
  expect(await cli(['--version'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
  });
});

/** What a command cannot do without. */
const needed: Readonly<Record<string, string[]>> = {
  logs: ['shop'],
  retry: ['shop'],
  prune: ['--confirm', 'abcdef0'],
};

describe('wrong usage ends with 2, and says so on stderr alone:', () => {
  it.each([
    [[], 'Usage: pointsman'],
    [['nosuch'], "unknown command 'nosuch'"],
    [['help', 'nosuch'], "unknown command 'nosuch'"],
    [['statsu'], 'Did you mean status?'],
    ...commands.map((command): [string[], string] => [
      [command, ...(needed[command] ?? []), '--nosuch'],
      "unknown option '--nosuch'",
    ]),
    [['status', 'a', 'b'], 'too many arguments'],
    [['logs'], "missing required argument 'project'"],
    [['logs', '../etc'], "argument value '../etc' is invalid"],
    [['logs', 'shop', '--slot', 'red'], 'Allowed choices are blue, green'],
    [['logs', 'shop', '--slot', 'blue', '--build'], 'cannot be used with'],
    [['retry'], "missing required argument 'project'"],
    [['retry', 'Shop!'], 'is not the name of a project'],
    [['prune'], "required option '--confirm <commit>' not specified"],
    [['prune', '--confirm', 'HEAD'], 'is not a commit'],
    [['history', '--limit', '0'], 'a whole number from 1'],
    [['history', '--limit', 'many'], 'a whole number from 1'],
    [['plan', '--dir', 'a', '--commit', 'b'], 'cannot be used with'],
    [['validate', '--format', 'xml'], 'Allowed choices are text, json, github'],
    [['--config'], 'argument missing'],
  ] as [string[], string][])('%j', async (argv, message) => {
    const { code, out, err } = await cli(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });
});

describe('settings', () => {
  it.each([
    ['before', ['--config', 'x.yaml', 'status']],
    ['after', ['status', '--config', 'x.yaml']],
  ])('are those that --config names %s the command', async (_where, argv) => {
    let named: string | undefined;
    const loadSettings = (file: string | undefined) => {
      named = file;
      return Promise.resolve(settingsIn('/nonexistent'));
    };
    await cli(argv, { deps: { loadSettings } });
    expect(named).toBe('x.yaml');
  });

  it('that are wrong end every command that needs them with 2, all problems listed', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'pointsman.yaml');
    await writeFile(
      file,
      'apiVersion: pointsman.dev/v1\nkind: Settings\nstateDir: 7\nnginx: { mode: other }\n',
    );
    for (const argv of [
      ['run'],
      ['plan'],
      ['status'],
      ['history'],
      ['logs', 'shop'],
      ['sync'],
      ['retry', 'shop'],
      ['prune', '--confirm', 'abcdef0'],
    ]) {
      const { code, out, err } = await cli([...argv, '--config', file], {
        deps: { loadSettings: loadSettingsOrThrow },
      });
      expect([argv, code, out]).toEqual([argv, 2, '']);
      expect(err).toContain('/stateDir');
      expect(err).toContain('/nginx/mode');
      expect(err).toContain('configRepo');
    }
  });

  it('come from $POINTSMAN_CONFIG without --config', async () => {
    const { code, err } = await cli(['status'], {
      deps: { loadSettings: loadSettingsOrThrow },
      env: { POINTSMAN_CONFIG: '/nonexistent/p.yaml' },
    });
    expect(code).toBe(2);
    expect(err).toContain('/nonexistent/p.yaml');
  });
});

describe('what goes wrong in a command', () => {
  const failing = (error: unknown) => ({ plan: () => Promise.reject(error as Error) });

  it.each([
    ['AlreadyRunning', 2],
    ['SettingsInvalid', 2],
    ['Usage', 2],
    ['NotRunning', 1],
    ['DockerUnavailable', 1],
    ['SourceUnreachable', 1],
  ] as const)('%s ends with %i', async (code, exitCode) => {
    const error = new PointsmanError(code, 'no use: https://me:s3cret@git.example.com/');
    const result = await cli(['plan'], { backend: failing(error) });
    expect(result).toEqual({ code: exitCode, out: '', err: 'error: no use: https://git.example.com/\n' });
  });

  it('is shown with its place when it is our own mistake', async () => {
    const { code, err } = await cli(['plan'], {
      backend: failing(new TypeError('undefined is not a function')),
    });
    expect(code).toBe(1);
    expect(err).toMatch(/undefined is not a function\n\s+at .*program\.test\.ts/);
  });

  it('is one line when the system refuses', async () => {
    const error = Object.assign(new Error('EACCES: permission denied, open /x'), {
      code: 'EACCES',
      syscall: 'open',
    });
    expect((await cli(['plan'], { backend: failing(error) })).err).toBe(
      "error: EACCES: permission denied, open /x; run this as the controller's user, root as a rule\n",
    );
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('is nothing but %s, which ends with %i', async (signal, exitCode) => {
    const running = startCli(['plan'], {
      backend: {
        plan: (_settings, options) =>
          new Promise((_resolve, reject) =>
            options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)),
          ),
      },
    });
    // The command asks for its settings first.
    await new Promise((resolve) => setImmediate(resolve));
    running.interrupt(signal);
    expect(await running.exitCode).toBe(exitCode);
    expect(running.err()).toBe('');
  });
});
