// Generated from the schema by `npm run generate`: change the schema instead.

/**
 * What one project runs, and under which addresses. One YAML document in the config repository; `source` or `image` is required, not both.
 */
export interface WrittenProject {
  /**
   * Version of the manifest format.
   */
  apiVersion: 'pointsman.dev/v1';
  /**
   * What the document declares.
   */
  kind: 'Project';
  /**
   * Name of the project, unique in the config repository. Containers, volumes and images carry it.
   */
  name: string;
  /**
   * Leave the project as it is: no build, start, stop, retirement or container repair. nginx files are still repaired.
   */
  suspend?: boolean;
  /**
   * Repository of the application, built with its Dockerfile.
   */
  source?: {
    /**
     * Address of the repository: https, http, ssh, `git@host:path`, or an absolute local path. No user name or password in an http(s) address; credentials are in the settings.
     */
    repo: string;
    /**
     * Branch or tag to follow. Without it, the remote's HEAD.
     */
    ref?: string;
    /**
     * Full hash of the commit to run; wins over `ref`. Only a pinned commit makes a revert of the config repository bring old code back.
     */
    commit?: string;
    /**
     * Folder inside the repository that is the build context.
     */
    path?: string;
  };
  /**
   * How the image is built. Only together with `source`.
   */
  build?: {
    /**
     * Dockerfile, relative to `source.path`.
     */
    dockerfile?: string;
    /**
     * Stage of the Dockerfile to build. Without it, the last one.
     */
    target?: string;
    /**
     * Build arguments. Never secrets: they stay readable in the image.
     */
    args?: {
      [k: string]: string;
    };
    /**
     * Longest time that a build may take.
     */
    timeout?: string;
  };
  /**
   * Image to run instead of building one. A tag is resolved to a digest when this text changes, recorded, and not resolved again; what the engine has under that name counts, only what it lacks is pulled.
   */
  image?: string;
  /**
   * How the container runs.
   */
  run?: {
    /**
     * Port on which the application listens for HTTP, on 0.0.0.0. Given to it as `PORT`.
     */
    port?: number;
    /**
     * Program and arguments, instead of the image's own.
     *
     * @minItems 1
     * @maxItems 256
     */
    command?: string[];
    /**
     * Environment variables. `PORT` is set by Pointsman.
     */
    env?: {
      [k: string]: string;
    };
    /**
     * Names of secrets, given to the application as environment variables. Their values are files on the server, `<secrets.dir>/<project>/<NAME>`.
     *
     * @maxItems 256
     */
    secrets?: string[];
    /**
     * Named volumes `pointsman-<project>-<name>`. Pointsman never deletes them; an unnamed one that the image declares goes with its container.
     *
     * @maxItems 64
     *
     * Items: A named volume and where it is mounted.
     */
    volumes?: {
      /**
       * Name of the volume inside the project.
       */
      name: string;
      /**
       * Absolute path in the container.
       */
      path: string;
    }[];
    /**
     * Memory limit. Without it, no limit.
     */
    memory?: string;
    /**
     * CPU limit, in processors. Without it, no limit.
     */
    cpus?: number;
    /**
     * Most processes and threads at a time.
     */
    pids?: number;
    /**
     * User, and group after a colon, that the process runs as. Without it, the image's.
     */
    user?: string;
    /**
     * Mount the container's root file system read-only. Volumes stay writable.
     */
    readOnly?: boolean;
    /**
     * Time between SIGTERM and SIGKILL.
     */
    stopTimeout?: string;
  };
  /**
   * One-off container of the new image that runs before it starts, for migrations. It has the environment, secrets, volumes and limits of `run`. It may run more than once, so it must be idempotent.
   */
  release?: {
    /**
     * Program and arguments. Any exit code but 0 fails the deployment.
     *
     * @minItems 1
     * @maxItems 256
     */
    command: string[];
    /**
     * Longest time that the release command may take.
     */
    timeout?: string;
  };
  /**
   * When a container counts as healthy: before it gets traffic, and while it proves itself afterwards.
   */
  health?: {
    /**
     * Path of an HTTP GET with the first domain as `Host`. Without it, a TCP connect.
     */
    path?: string;
    /**
     * Status codes that count as healthy, one or a range.
     */
    status?: string | number;
    /**
     * Time between two probes. Without it, before the switch a tenth of the time since the first probe, 5ms to 1s; after it 1s.
     */
    interval?: string;
    /**
     * A slower answer is a failed probe.
     */
    timeout?: string;
    /**
     * Successful probes in a row that make a container healthy.
     */
    successes?: number;
    /**
     * Time from the start of the container in which it must become healthy.
     */
    within?: string;
    /**
     * How long probing goes on after the switch.
     */
    bake?: string;
    /**
     * Failed probes in a row during the bake that switch back. An exit does so at once.
     */
    failures?: number;
  };
  /**
   * Under which addresses nginx serves the project.
   */
  route?: {
    /**
     * Domain names. Without it, `<name>.<nginx.baseDomain>`. The first one is the `Host` of probes.
     *
     * @minItems 1
     * @maxItems 64
     */
    domains?: string[];
    /**
     * Largest request body.
     */
    maxBody?: string;
    /**
     * Longest silence of the application in an answer.
     */
    readTimeout?: string;
  };
  /**
   * What happens to the version that lost its traffic.
   */
  rollout?: {
    /**
     * Longest wait for requests in flight.
     */
    drain?: string;
    /**
     * How long the previous version keeps running, so that a revert is instant. Both versions run until then, background workers and shared volumes included. `0s` retires it right after the drain.
     */
    keepPrevious?: string;
  };
}
