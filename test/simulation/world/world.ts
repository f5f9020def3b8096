import type { Controller } from '../../../src/controller/controller.js';
import { composeController, dropLeftOvers } from '../../../src/compose.js';
import type { Adapters } from '../../../src/compose.js';
import { silentLogger } from '../../../src/log.js';
import { openJournal } from '../../../src/record/journal.js';
import type { Journal } from '../../../src/record/port.js';
import type { Status } from '../../../src/record/status.generated.js';
import { SecretFiles } from '../../../src/resolve/secrets.js';
import type { Settings } from '../../../src/settings/settings.js';
import { Disk, mkdir, useDisk } from './disk.js';
import { Effects } from './effects.js';
import { EngineState } from './engine.js';
import { Invariants, settledAttempts } from './invariants.js';
import { GitState, SimulatedConfig, SimulatedSources } from './repositories.js';
import { RouterState, SimulatedRouter } from './router.js';
import { SimulatedRuntime } from './runtime.js';
import { Life, LifeClock, Random } from './scheduler.js';
import type { Scheduler } from './scheduler.js';

export const stateDir = '/state';

export const settings: Settings = {
  instance: 'sim',
  configRepo: { url: '/config.git', branch: 'main', path: 'projects', intervalMs: 60_000, credential: null },
  credentials: [],
  stateDir,
  docker: { socket: '/docker.sock', addressPool: '10.213.0.0/16' },
  nginx: {
    mode: 'managed',
    listen: ['80'],
    confDir: '/conf',
    verify: '127.0.0.1:9180',
    baseDomain: 'example.com',
    trustedProxies: [],
  },
  concurrency: { builds: 1, deployments: 4 },
  retries: { attempts: settledAttempts, backoffMs: 5_000, maxBackoffMs: 180_000 },
  images: { keep: 2 },
  prune: { maxShare: 0.5 },
  secrets: { dir: '/secrets' },
  policy: { sources: [], images: [], frontends: [] },
  log: { level: 'error' },
};

/** Milliseconds from a crash to the next start of the process. */
const restartMs = 500;

/**
 * One server with everything on it, and the controller that is being tried. The parts outlive it; a
 * crash ends a life, and the next one starts on what is left.
 */
export class World {
  readonly effects: Effects;
  readonly engine: EngineState;
  readonly router: RouterState;
  readonly git: GitState;
  readonly disk = new Disk();
  readonly invariants: Invariants;
  status: Status | null = null;
  controller: Controller | null = null;
  lives = 0;
  /** What happens to one event: delays at which it arrives; none at all when it is lost. */
  fate: () => readonly number[] = () => [1];
  #life = new Life(0);
  #ackedSeq = 0;
  #said = '';

  constructor(readonly random: Random) {
    this.effects = new Effects(random);
    this.engine = new EngineState(this.effects);
    this.router = new RouterState(this.effects);
    this.git = new GitState(this.effects);
    this.invariants = new Invariants(this);
    this.effects.onCrash = (kind) => this.crash(kind);
    this.effects.onMutation = () => this.invariants.check();
    this.disk.strike = (operation, path) => {
      const fault = this.effects.strike({
        port: 'disk',
        name: `${operation} ${path.replace(/[0-9a-f]{12}/, '*')}`,
        mutates: true,
      });
      if (fault === 'stale') return null;
      // A file that cannot be opened was not made.
      return operation === 'create' && fault === 'timeout' ? 'error' : fault;
    };
    this.disk.onFault = (kind) => this.crash(kind);
    this.disk.onReplace = (_path, text) => {
      // A heartbeat says nothing new.
      const said = text.replace(/"writtenAt":"[^"]*"/, '').replace(/"last(Attempt|Success)At":"[^"]*"/g, '');
      if (said === this.#said) return;
      this.#said = said;
      this.invariants.checkSecrets(text, 'status');
      this.status = JSON.parse(text) as Status;
      this.invariants.checkStatus(this.status);
    };
  }

  get scheduler(): Scheduler {
    return this.effects.scheduler;
  }

  get isRunning(): boolean {
    return this.#life.isAlive && this.lives > 0;
  }

  /** Begins a life of the controller on what is there. */
  async start(): Promise<void> {
    useDisk(this.disk);
    this.disk.isFrozen = false;
    this.lives += 1;
    const life = new Life(this.lives);
    this.#life = life;
    this.effects.remember(`== life ${life.number}`);
    const clock = new LifeClock(this.scheduler, life);
    await mkdir(stateDir);
    await dropLeftOvers(settings, silentLogger);
    const journal = await openJournal({ stateDir, clock, log: silentLogger });
    if (!life.isAlive) return;
    if (journal.fault === null && journal.damage === null) this.#checkAcknowledged();
    const adapters = this.#adapters(life, clock);
    const options = { log: silentLogger, version: 'simulated', onProgress: () => undefined };
    const { controller } = composeController(settings, adapters, this.#watched(journal), options, {
      add: () => undefined,
    });
    this.controller = controller;
    await controller.start(false);
    await controller.run();
  }

  /** The process, or the machine, ends here and now; another life begins soon. */
  crash(kind: 'process' | 'power'): void {
    if (!this.#life.isAlive) return;
    this.effects.remember(`== ${kind === 'process' ? 'the controller dies' : 'power cut'}`);
    this.#end();
    if (kind === 'power') {
      this.disk.powerCut();
      this.engine.powerCut();
      this.router.connections = [];
      this.router.reload();
      this.router.isOfBoot = true;
      this.invariants.check();
    }
    this.scheduler.after(restartMs, () => this.#background(this.start()));
  }

  /** SIGTERM, and a start of the next life. */
  async restart(): Promise<void> {
    if (!this.isRunning || this.controller === null) return;
    const life = this.#life;
    const stopped = this.controller.stop();
    let ended = false;
    stopped
      .then(() => (ended = true))
      .catch((error: unknown) => this.effects.violate(`stop failed: ${String(error)}`));
    await this.scheduler.runUntil(this.scheduler.time + 600_000, () => ended || !life.isAlive);
    if (!life.isAlive) return;
    if (!ended) this.effects.violate('S13 the controller did not stop within 10 minutes');
    this.#end();
    this.#background(this.start());
  }

  /** Starts beside everything else; a crash ends it without a word. */
  begin(): void {
    this.#background(this.start());
  }

  /** A person, or something else, changes the world under the controller's feet. */
  meddle(what: string, change: () => void): void {
    this.effects.remember(`== by hand: ${what}`);
    this.invariants.byHand(change);
  }

  /** Somebody sets the wall clock. */
  jump(days: number): void {
    this.effects.remember(`== the clock jumps ${days} days`);
    this.scheduler.wall += days * 86_400_000;
  }

  setEngineDown(isDown: boolean): void {
    this.effects.remember(`== engine ${isDown ? 'down' : 'up'}`);
    this.engine.isDown = isDown;
    if (!isDown) return;
    this.engine.listeners.clear();
    const droppers = [...this.engine.droppers];
    this.engine.droppers.clear();
    for (const drop of droppers) drop(new Error('the engine went away'));
  }

  #end(): void {
    this.#life.isAlive = false;
    this.disk.isFrozen = true;
    this.controller = null;
    this.engine.listeners.clear();
    this.engine.droppers.clear();
    this.router.watchers.clear();
    this.git.configWatchers.clear();
    this.git.sourceWatchers.clear();
  }

  #background(work: Promise<void>): void {
    work.catch((error: unknown) => this.effects.violate(`the controller did not start: ${String(error)}`));
  }

  #adapters(life: Life, clock: LifeClock): Omit<Adapters, 'close'> {
    const fate = (): readonly number[] => this.fate();
    const runtime = new SimulatedRuntime(this.engine, life, {
      onStop: (container, verb) => this.invariants.onStop(container, verb),
      onRemoveImage: (image) => this.invariants.onRemoveImage(image),
      onCreate: (spec) => this.invariants.onCreate(spec),
      fate,
    });
    const router = new SimulatedRouter(this.router, life, fate);
    const line = (text: string): void => this.invariants.checkSecrets(text, 'the log of a deployment');
    const log = { line, close: () => Promise.resolve() };
    return {
      clock,
      runtime,
      router,
      config: new SimulatedConfig(this.git, life, router, fate),
      sources: new SimulatedSources(this.git, life, fate),
      secrets: new SecretFiles(settings.secrets.dir),
      prober: runtime,
      deploymentLogs: {
        open: () => Promise.resolve(log),
        retire: () => Promise.resolve(),
        collect: () => Promise.resolve([]),
      },
      lock: () => Promise.resolve({ release: () => Promise.resolve() }),
    };
  }

  /** Remembers what was acknowledged: it has to be there at the next opening (S8). */
  #watched(journal: Journal): Journal {
    const { invariants } = this;
    const acked = (seq: number): void => void (this.#ackedSeq = Math.max(this.#ackedSeq, seq));
    return new Proxy(journal, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        if (key !== 'append') return value.bind(target) as unknown;
        return async (entry: Parameters<Journal['append']>[0]) => {
          const record = await target.append(entry);
          invariants.checkSecrets(JSON.stringify(record), 'the journal');
          acked(record.seq);
          return record;
        };
      },
    });
  }

  #checkAcknowledged(): void {
    const text = this.disk.names.get(`${stateDir}/journal.jsonl`)?.data.toString('utf8') ?? '';
    const seqs = [...text.matchAll(/"seq":(\d+)/g)].map((match) => Number(match[1]));
    const last = seqs.at(-1) ?? 0;
    if (last < this.#ackedSeq) {
      this.effects.violate(`S8 record ${this.#ackedSeq} was acknowledged, the journal ends with ${last}`);
      this.#ackedSeq = last;
    }
  }
}
