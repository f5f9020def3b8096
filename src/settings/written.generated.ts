// Generated from the schema by `npm run generate`: change the schema instead.

/**
 * Settings of one controller. Only `configRepo.url` is required.
 */
export interface WrittenSettings {
  /**
   * Version of the settings format.
   */
  apiVersion?: 'pointsman.dev/v1';
  /**
   * What the document holds.
   */
  kind?: 'Settings';
  /**
   * Label of everything that is ours on the Docker engine. Two controllers with one instance on one engine are refused.
   */
  instance?: string;
  /**
   * The repository of manifests.
   */
  configRepo: {
    /**
     * Address: http(s), ssh, `git@host:path`, or an absolute path to a local repository.
     */
    url: string;
    /**
     * Branch to follow.
     */
    branch?: string;
    /**
     * Folder of the manifests inside the repository. Folders in it called node_modules, or whose name begins with a dot, are left out.
     */
    path?: string;
    /**
     * Time between two looks at the repository, ±10 %. A local one is watched as well.
     */
    interval?: string;
    /**
     * File with a token, for http(s). Relative to the settings file.
     */
    tokenFile?: string;
    /**
     * Private key, for ssh. Relative to the settings file.
     */
    sshKeyFile?: string;
    /**
     * Known host keys, for ssh. Without it, the user's and the machine's own files count.
     */
    knownHostsFile?: string;
  };
  /**
   * Credentials for private application repositories. The entry with the longest matching prefix is used.
   *
   * @maxItems 1000
   *
   * Items: A credential and the repositories that it is for.
   */
  credentials?: {
    /**
     * Beginning of the addresses, compared by scheme, host, port and whole path segments.
     */
    prefix: string;
    /**
     * File with a token, for http(s). Relative to the settings file.
     */
    tokenFile?: string;
    /**
     * Private key, for ssh. Relative to the settings file.
     */
    sshKeyFile?: string;
    /**
     * Known host keys, for ssh. Without it, the user's and the machine's own files count.
     */
    knownHostsFile?: string;
  }[];
  /**
   * Where mirrors, journal, status, logs and nginx files are. Relative to the settings file.
   */
  stateDir?: string;
  /**
   * The Docker engine.
   */
  docker?: {
    /**
     * Socket of the engine. Without it, that of `$DOCKER_HOST`, else the default.
     */
    socket?: string;
    /**
     * Private IPv4 range of which each project gets a /28.
     */
    addressPool?: string;
  };
  /**
   * The reverse proxy.
   */
  nginx?: {
    /**
     * `managed`: an nginx of our own that outlives the controller. `system`: site files for the nginx of the machine.
     */
    mode?: 'managed' | 'system';
    /**
     * Ports or addresses with port on which the sites are served.
     *
     * @minItems 1
     * @maxItems 16
     */
    listen?: (string | number)[];
    /**
     * Folder that the nginx of the machine includes. Mode `system`.
     */
    confDir?: string;
    /**
     * Loopback address on which nginx answers which configuration is live.
     */
    verify?: string;
    /**
     * Projects without `route.domains` are served under `<name>.<baseDomain>`.
     */
    baseDomain?: string;
    /**
     * Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed.
     *
     * @maxItems 256
     */
    trustedProxies?: string[];
  };
  /**
   * How much is done at a time.
   */
  concurrency?: {
    /**
     * Builds at a time.
     */
    builds?: number;
    /**
     * Deployments at a time.
     */
    deployments?: number;
  };
  /**
   * How a deployment that failed is tried again.
   */
  retries?: {
    /**
     * Attempts at one revision.
     */
    attempts?: number;
    /**
     * Wait before the second attempt; doubles with each one.
     */
    backoff?: string;
    /**
     * Longest wait between two attempts.
     */
    maxBackoff?: string;
  };
  /**
   * Images that are no longer used.
   */
  images?: {
    /**
     * How many to keep per project, besides those in use.
     */
    keep?: number;
  };
  /**
   * Removal of projects whose manifest is gone.
   */
  prune?: {
    /**
     * When more than this share of the projects (and more than one) would go, removals are held back.
     */
    maxShare?: number;
  };
  /**
   * Values of secrets.
   */
  secrets?: {
    /**
     * Folder of the values: `<dir>/<project>/<NAME>`, one per file, mode 0600; one trailing newline is dropped. Relative to the settings file.
     */
    dir?: string;
  };
  /**
   * What projects may use. Prefixes are compared as parsed addresses; an empty list of sources or images allows any.
   */
  policy?: {
    /**
     * Allowed beginnings of `source.repo`.
     *
     * @maxItems 1000
     */
    sources?: string[];
    /**
     * Allowed beginnings of `image`.
     *
     * @maxItems 1000
     */
    images?: string[];
    /**
     * Allowed beginnings of the image that a Dockerfile's `# syntax=` names, which reads it in BuildKit's place; an empty list allows none.
     *
     * @maxItems 1000
     */
    frontends?: string[];
  };
  /**
   * Log of the controller, JSON lines on stdout.
   */
  log?: {
    /**
     * Least severity that is written.
     */
    level?: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  };
}
