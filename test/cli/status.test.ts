import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveControl } from '../../src/record/control.js';
import type { ControlReply } from '../../src/record/control.js';
import type { Status } from '../../src/record/status.generated.js';
import { api, bareStatus, fullStatus, shop, web, writeWholeStatus } from '../record/status-fixture.js';
import { cli, plain, startCli, temporaryFolder } from './cli.js';
import type { CliOptions } from './cli.js';

const isWritten: ControlReply = { ok: true, message: 'status is written' };
const written = Date.parse(fullStatus.writtenAt);

async function folderWith(status: Status): Promise<string> {
  const stateDir = await temporaryFolder();
  await writeWholeStatus(stateDir, status);
  return stateDir;
}

/** A controller that answers there. */
async function served(stateDir: string, reply: ControlReply = isWritten): Promise<string> {
  const answer = (): Promise<ControlReply> => Promise.resolve(reply);
  const server = await serveControl(stateDir, { sync: answer, health: answer, retry: answer, prune: answer });
  onTestFinished(() => server.close());
  return stateDir;
}

async function statusOf(status: Status, argv: readonly string[] = [], more: CliOptions = {}) {
  const stateDir = await served(await folderWith(status));
  return cli(['status', ...argv], { stateDir, now: written + 2_000, ...more });
}

/** As a person of this machine's zone reads it. */
function zoned(time: string): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

const onlyShop: Status = {
  ...fullStatus,
  projects: { shop },
  problems: [],
  summary: { ...bareStatus.summary, total: 1, live: 1 },
};

describe('the table', () => {
  it('has a line for each project, the problems, and a summary', async () => {
    const { code, out } = await statusOf(fullStatus);
    expect(out).toBe(`PROJECT  STATE        SLOT  REVISION  COMMIT    AGE  URL / MESSAGE
api      failed       -     -         -         -    step 3 of 5, "RUN npm ci", ended with 1; see pointsman logs api --build
shop     live         blue  7d01aa55  0a1b2c3d  5m   http://shop.example.com/
web      progressing  -     -         -         -    building

PROBLEMS
! projects/a.yaml:4:9 /run/port: port 99999 is above 65535; use 1 to 65535

3 projects: 1 live, 1 progressing, 1 failed (main at 4f5e6d7c, looked at 32s ago)
`);
    expect(code).toBe(1);
  });

  it('ends with 0 when nothing that is shown failed', async () => {
    expect((await statusOf(onlyShop)).code).toBe(0);
    expect((await statusOf(fullStatus, ['shop'])).code).toBe(0);
    expect((await statusOf(fullStatus, ['web'])).code).toBe(0);
    expect((await statusOf({ ...onlyShop, projects: { shop: { ...shop, state: 'invalid' } } })).code).toBe(1);
    const error = 'no route to host';
    const { source } = onlyShop;
    expect((await statusOf({ ...onlyShop, source: { ...source, error } })).code).toBe(0);
    expect((await statusOf({ ...onlyShop, source: { ...source, commit: null, error } })).code).toBe(1);
    expect((await statusOf({ ...onlyShop, source: { ...source, commit: null } })).code).toBe(0);
  });

  it.each([120, 80, 60, 45, 30])('has no line that wraps in %i columns', async (columns) => {
    const { out } = await statusOf({ ...fullStatus, problems: [] }, [], { columns, env: { NO_COLOR: '1' } });
    const table = out.split('\n\n')[0] ?? '';
    for (const line of table.split('\n')) expect(line.length).toBeLessThanOrEqual(columns);
    for (const name of ['api', 'shop', 'web']) expect(table).toMatch(new RegExp(`^${name} `, 'm'));
  });

  it('is coloured on a terminal alone, and not with NO_COLOR', async () => {
    const coloured = /\u001b\[3[12]m/;
    expect((await statusOf(fullStatus, [], { columns: 120 })).out).toMatch(coloured);
    expect((await statusOf(fullStatus)).out).not.toContain('\u001b');
    expect((await statusOf(fullStatus, [], { columns: 120, env: { NO_COLOR: '1' } })).out).not.toContain(
      '\u001b',
    );
    expect((await statusOf(fullStatus, [], { columns: 120, env: { NO_COLOR: '' } })).out).toMatch(coloured);
  });

  it('lets no message move the cursor', async () => {
    const message = 'ok\u001b[2J\u001b]0;title\u0007 \r\n fine \u202e desrever';
    const { out } = await statusOf({ ...onlyShop, projects: { shop: { ...shop, message } } }, [], {
      columns: 120,
      env: { NO_COLOR: '1' },
    });
    expect(out).toMatch(/ok.* fine +desrever\n/);
    expect(out).not.toMatch(/[\u001b\u0007\r\u202e]/);
  });

  it('says when there are no projects, and what cannot be read', async () => {
    const { out, code } = await statusOf(bareStatus);
    expect(out).toBe(
      `the config repository cannot be read since ${zoned(bareStatus.controller.startedAt)} (1h): refused\n\nno projects\n\n0 projects (main, not read yet)\n`,
    );
    expect(code).toBe(1);
  });

  it('says which service does not answer', async () => {
    const components = {
      ...fullStatus.components,
      docker: { ok: false, message: 'connection refused; start it' },
    };
    expect((await statusOf({ ...onlyShop, components })).out).toContain(
      'docker: connection refused; start it\n',
    );
  });
});

describe('a status that says nothing about now', () => {
  it('is shown, marked as stale, and ends with 1', async () => {
    const { code, out } = await statusOf(onlyShop, [], { now: written + 300_000 });
    expect(code).toBe(1);
    expect(out).toMatch(/^stale: written 5m ago/);
    expect(out).toContain('http://shop.example.com/');
  });

  it('says when the controller was stopped', async () => {
    const stopped: Status = { ...onlyShop, controller: { ...onlyShop.controller, state: 'stopped' } };
    expect((await statusOf(stopped)).out).toMatch(/^the controller stopped 2s ago/);
    expect(await statusOf(stopped, [], { now: written + 60_000 })).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^stale: the controller stopped 1m ago/) as string,
    });
  });

  it('says when it is late, before it is stale', async () => {
    expect(await statusOf(onlyShop, [], { now: written + 12_000 })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^PROJECT/) as string,
    });
    expect(await statusOf(onlyShop, [], { now: written + 20_000 })).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^written 20s ago, and a running controller writes every 10 s/) as string,
    });
  });

  it.each([[[]], [['shop']]])(
    'begins with since when the config repository cannot be read, for %j',
    async (argv) => {
      const source = {
        ...fullStatus.source,
        lastSuccessAt: '2026-11-20T09:40:00.000Z',
        error: 'refused\u001b[2J',
      };
      const { code, out } = await statusOf({ ...onlyShop, source }, argv);
      expect(code).toBe(0);
      expect(out.split('\n')[0]).toBe(
        `the config repository cannot be read since ${zoned(source.lastSuccessAt)} (20m): refused; what follows goes by commit 4f5e6d7c`,
      );
    },
  );

  it('that is missing or damaged ends with 1, with the mend on stderr', async () => {
    const stateDir = await temporaryFolder();
    expect(await cli(['status'], { stateDir })).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('start one with "pointsman run"') as string,
    });
    await writeFile(join(stateDir, 'status.json'), '{');
    expect(await cli(['status', '--json'], { stateDir })).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('is not a status') as string,
    });
  });
});

describe('a controller that died', () => {
  const dead = `no controller runs: this is how it was at ${zoned(fullStatus.writtenAt)}; start it with "pointsman run"\n`;

  async function leftSocket(): Promise<string> {
    const stateDir = await folderWith(onlyShop);
    const socket = join(stateDir, 'control.sock');
    const script =
      'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ['-e', script, socket]);
    return stateDir;
  }

  it.each([
    ['without a socket', () => folderWith(onlyShop)],
    ['with the socket that it left', leftSocket],
  ])('is told at once, and ends with 1, %s', async (_, folder) => {
    const options = { stateDir: await folder(), now: written + 2_000 };
    for (const argv of [[], ['shop']]) {
      const { code, out, err } = await cli(['status', ...argv], options);
      expect([code, err]).toEqual([1, '']);
      expect(out.slice(0, dead.length)).toBe(dead);
      expect(out).toContain('http://shop.example.com/');
    }
    const { code, out } = await cli(['status', '--json'], options);
    expect([code, JSON.parse(out)]).toEqual([1, onlyShop]);
  });

  it('is told by --watch', async () => {
    const running = startCli(['status', '-w'], { stateDir: await leftSocket(), now: written + 5_000 });
    await running.untilOut(dead);
    running.interrupt('SIGINT');
    expect(await running.exitCode).toBe(130);
  });

  const stopped: Status = { ...onlyShop, controller: { ...onlyShop.controller, state: 'stopped' } };

  it('is nothing to say of one that was stopped', async () => {
    const { code, out } = await cli(['status'], {
      stateDir: await folderWith(stopped),
      now: written + 2_000,
    });
    expect(code).toBe(0);
    expect(out).toMatch(/^the controller stopped 2s ago/);
  });

  it('is nothing to say of one that stopped between the reading and the asking', async () => {
    const end = await readFile(join(await folderWith(stopped), 'status.json'), 'utf8');
    const stateDir = await folderWith(onlyShop);
    // The age of a status is reckoned as soon as it is read.
    const now = (): number => {
      writeFileSync(join(stateDir, 'status.json'), end);
      return written + 5_000;
    };
    const { code, out } = await cli(['status'], { stateDir, now });
    expect([code, out.split('\n')[0]]).toEqual([0, expect.stringMatching(/^the controller stopped 5s ago/)]);
  });
});

describe('what is told twice', () => {
  it('is told under PROBLEMS, and the project points there', async () => {
    const message = 'projects/a.yaml:4:9 /run/port: port 99999 is above 65535; use 1 to 65535';
    const held =
      'removal of api is held back: the folder is empty; to remove them: pointsman prune --confirm 4f5e';
    const { out } = await statusOf({
      ...fullStatus,
      problems: [...fullStatus.problems, { file: '', line: 0, column: 0, path: '', message: held }],
      projects: {
        api: { ...api, state: 'removing', reason: 'RemovalHeld', message: held },
        shop: { ...shop, state: 'invalid', reason: 'ManifestInvalid', message },
      },
    });
    expect(out).toMatch(/^api .* RemovalHeld, see PROBLEMS\nshop .* ManifestInvalid, see PROBLEMS$/m);
    expect(out.split('port 99999')).toHaveLength(2);
    expect(out.split('is held back')).toHaveLength(2);
  });
});

describe('a controller that cannot write its status', () => {
  const message = 'the controller cannot write its status: EROFS: read-only file system; make it writable';

  it.each([[[]], [['--json']], [['shop']]])('says why with %j, and ends with 1', async (argv) => {
    const stateDir = await served(await folderWith(onlyShop), { ok: false, message });
    const { code, out, err } = await cli(['status', ...argv], { stateDir, now: written + 2_000 });
    expect(code).toBe(1);
    expect(err).toBe(`${message}; what is shown is 2s old\n`);
    expect(out).toContain('http://shop.example.com/');
  });

  it('says why when there is no status at all', async () => {
    const stateDir = await served(await temporaryFolder(), { ok: false, message });
    expect(await cli(['status'], { stateDir })).toEqual({ code: 1, out: '', err: `error: ${message}\n` });
  });

  it('changes nothing where it can', async () => {
    const stateDir = await served(await folderWith(onlyShop));
    expect(await cli(['status'], { stateDir, now: written + 2_000 })).toMatchObject({ code: 0, err: '' });
  });
});

describe('one project', () => {
  it('is told with everything: live, previous, last deployment', async () => {
    const { out } = await statusOf(fullStatus, ['shop']);
    expect(out).toBe(`project    shop
state      live
url        http://shop.example.com/
desired    revision 7d01aa55, config 4f5e6d7c, source 0a1b2c3d
live       blue, revision 7d01aa55, source 0a1b2c3d
           since ${zoned('2026-11-20T09:55:00.000Z')} (5m)
           10.213.0.2:3000, container c0ffee, image 1111
previous   green, revision aa00bb11, warm, kept for 4m
last       active ${zoned('2026-11-20T09:55:10.000Z')} after 20.0s (deployment d-1)
           fetching 120ms, building 4.1s, probing 900ms
`);
  });

  it('that failed says why, and when it is tried again', async () => {
    const failed: Status = {
      ...fullStatus,
      projects: { api: { ...api, attempts: 2, nextRetryAt: '2026-11-20T10:00:32.000Z' } },
    };
    const { out, code } = await statusOf(failed, ['api']);
    expect(code).toBe(1);
    expect(out).toMatch(/reason {5}BuildFailed\nmessage {4}step 3 of 5.*\nattempts {3}2, next in 30s\n/);
    expect(out).toContain('live       nothing\n');
  });

  it('that failed for good says how it is tried again', async () => {
    const { out } = await statusOf({ ...fullStatus, projects: { api } }, ['api']);
    expect(out).toContain('attempts   1, and no more: commit a change, or "pointsman retry api"\n');
  });

  it('that drains tells how many requests are left', async () => {
    const previous = { ...shop.previous!, state: 'draining' as const, inFlight: 3, warmUntil: null };
    const { out } = await statusOf({ ...fullStatus, projects: { shop: { ...shop, previous } } }, ['shop']);
    expect(out).toContain('previous   green, revision aa00bb11, draining (3 in flight), goes when drained\n');
  });

  it('that drains and whose connections cannot be seen says why it waits', async () => {
    const previous = { ...shop.previous!, state: 'draining' as const, inFlight: null };
    const { out } = await statusOf({ ...onlyShop, projects: { shop: { ...shop, previous } } }, ['shop']);
    expect(out).toContain('draining (connections cannot be counted, so the whole drain is waited)');
  });

  it('that is not there ends with 1, and the others are named', async () => {
    const { code, err } = await statusOf(fullStatus, ['nosuch']);
    expect([code, err]).toEqual([1, 'error: there is no project "nosuch"; there are api, shop, web\n']);
    expect((await statusOf(fullStatus, ['constructor'])).code).toBe(1);
  });
});

describe('--json', () => {
  it.each([[[]], [['shop']]])('prints a status by its schema, for %j', async (argv) => {
    const schema = JSON.parse(
      await readFile(new URL('../../schemas/status.schema.json', import.meta.url), 'utf8'),
    ) as object;
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
    const { out } = await statusOf(fullStatus, [...argv, '--json'], { columns: 80 });
    const status = JSON.parse(out) as Status;
    expect(validate(status), JSON.stringify(validate.errors)).toBe(true);
    expect(status).toEqual(argv.length === 0 ? fullStatus : { ...fullStatus, projects: { shop } });
  });
});

describe('--watch', () => {
  it('prints a line at each change where nothing can be redrawn, until interrupted', async () => {
    const stateDir = await folderWith(fullStatus);
    const running = startCli(['status', '--watch'], { stateDir, now: written + 2_000 });
    await running.untilOut('web progressing - - building\n');
    await writeWholeStatus(stateDir, {
      ...fullStatus,
      projects: { shop, api, web: { ...web, phase: 'probing' } },
    });
    await running.untilOut('web progressing - - probing\n');
    await writeWholeStatus(stateDir, { ...fullStatus, projects: { shop, api } });
    await running.untilOut('web is gone\n');
    running.interrupt('SIGINT');
    expect(await running.exitCode).toBe(130);
    const lines = running
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => line.slice('2026-11-20 10:00:02 '.length));
    expect(lines).toEqual([
      'api failed - - step 3 of 5, "RUN npm ci", ended with 1; see pointsman logs api --build',
      'shop live blue 7d01aa55 http://shop.example.com/',
      'web progressing - - building',
      'web progressing - - probing',
      'web is gone',
    ]);
    expect(running.err()).toBe('');
  });

  it('redraws the screen of a terminal, no higher than it is', async () => {
    const projects = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`p${String(n).padStart(2, '0')}`, shop]),
    );
    const stateDir = await folderWith({ ...fullStatus, projects, problems: [] });
    const running = startCli(['status', '-w'], { stateDir, now: written, columns: 100, rows: 10 });
    await running.untilOut('lines more');
    await writeWholeStatus(stateDir, onlyShop);
    await running.untilOut('1 project: ');
    running.interrupt('SIGTERM');
    expect(await running.exitCode).toBe(143);
    const frames = plain(running.out()).split('\u001b[H').slice(1);
    expect(frames[0]!.split('\n').length).toBeLessThanOrEqual(10);
    expect(frames.at(-1)).toMatch(/^PROJECT/);
    expect(frames.at(-1)).toMatch(/\u001b\[J$/);
  });

  it('shows all lines on a terminal that does not know its rows', async () => {
    const stateDir = await folderWith(fullStatus);
    const running = startCli(['status', '-w'], { stateDir, now: written, columns: 100, rows: 0 });
    await running.untilOut('3 projects: ');
    running.interrupt('SIGTERM');
    expect(await running.exitCode).toBe(143);
    expect(running.out()).not.toContain('lines more');
  });

  it('prints one JSON document a line with --json', async () => {
    const stateDir = await folderWith(onlyShop);
    const running = startCli(['status', '--watch', '--json'], { stateDir });
    await running.untilOut('\n');
    await writeWholeStatus(stateDir, fullStatus);
    await running.untilOut('"web"');
    running.interrupt('SIGINT');
    await running.exitCode;
    expect(
      running
        .out()
        .trimEnd()
        .split('\n')
        .map((line) => Object.keys((JSON.parse(line) as Status).projects).length),
    ).toEqual([1, 3]);
  });

  it.each([{}, { columns: 100 }])('ends for a project that is not there, with %j', async (terminal) => {
    const stateDir = await folderWith(fullStatus);
    expect(await cli(['status', 'nope', '--watch'], { stateDir, now: written, ...terminal })).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('there is no project "nope"; there are api, shop, web\n') as string,
    });
  });

  it('goes on while nobody can tell whether there is such a project, and when it goes', async () => {
    const source = { ...bareStatus.source, error: null };
    const stateDir = await folderWith({ ...bareStatus, source });
    const running = startCli(['status', 'shop', '--watch'], { stateDir, now: written + 2_000 });
    await running.untilOut('there is no project "shop" yet: the config repository has not been read\n');
    await writeWholeStatus(stateDir, onlyShop);
    await running.untilOut('shop live');
    await writeWholeStatus(stateDir, { ...fullStatus, projects: { api } });
    await running.untilOut('shop is gone\n');
    running.interrupt('SIGINT');
    expect(await running.exitCode).toBe(130);
  });

  it('says once since when the config repository cannot be read', async () => {
    const stateDir = await folderWith(onlyShop);
    const running = startCli(['status', '--watch'], { stateDir, now: written + 2_000 });
    await running.untilOut('shop live');
    const source = { ...fullStatus.source, error: 'refused' };
    await writeWholeStatus(stateDir, { ...onlyShop, source });
    await running.untilOut(
      `the config repository cannot be read since ${zoned(source.lastSuccessAt!)}: refused`,
    );
    running.interrupt('SIGINT');
    expect(await running.exitCode).toBe(130);
  });

  it('begins before there is a controller, and ends when nobody reads any more', async () => {
    const stateDir = await temporaryFolder();
    const running = startCli(['status', '--watch'], { stateDir });
    await running.untilOut('no controller has run here');
    await writeWholeStatus(stateDir, onlyShop);
    await running.untilOut('shop live');
    running.closeOutput();
    expect(await running.exitCode).toBe(0);
  });
});
