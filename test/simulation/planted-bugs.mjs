/**
 * Bugs that are planted into the controller: `from` stands exactly once in `file` and becomes `to`.
 * `seed`: a history that catches it, tried first. `scenario`: the one of scenarios.ts that catches it, where
 * hardly any history comes by.
 */
export const plantedBugs = [
  {
    name: 'counts on the key of secrets before it is durable',
    file: 'src/resolve/secrets.ts',
    from: '    await syncFolder(this.dir);',
    to: '',
    seed: 1182,
  },
  {
    name: 'writes the values of secrets into a label',
    file: 'src/apply/container-spec.ts',
    from: '      spec: serialiseSpec(identity.spec),',
    to: '      spec: serialiseSpec({ ...identity.spec, run: { ...run, env: { ...run.env, ...secrets } } }),',
  },
  {
    name: 'says the value of a secret in a message',
    file: 'src/resolve/secrets.ts',
    from: 'refusePublic(`secret file ${path}`, path, facts);',
    to: 'refusePublic(`secret file ${String(await handle.readFile())}`, path, facts);',
  },
  {
    name: 'forgets the config commit of a container',
    file: 'src/apply/container-spec.ts',
    from: '      configCommit: identity.configCommit,\n      sourceCommit',
    to: "      configCommit: '',\n      sourceCommit",
  },
  {
    name: 'never gives up on a revision',
    file: 'src/apply/failure.ts',
    from: 'step.attempt >= retries.attempts',
    to: 'false',
  },
  {
    name: 'gives a domain to two projects in one batch',
    seed: 4055,
    file: 'src/plan/plan-sites.ts',
    from: 'if (claimant === other || other < project) return { domain, holder: other };',
    to: '',
  },
  {
    name: 'switches before the probes',
    file: 'src/plan/plan-deployment.ts',
    from: "['probing', 'switching', ...route, ...bake]",
    to: "['switching', ...route, ...bake]",
  },
  {
    name: 'counts any answer as a passed probe',
    file: 'src/apply/probe.ts',
    from: 'inRow = result.ok ? inRow + 1 : 0;',
    to: 'inRow += 1;',
  },
  {
    name: 'stops before the drain',
    file: 'src/apply/drain.ts',
    from: '        if (count === 0) return;',
    to: '        return;',
  },
  {
    name: 'drains without the barrier',
    file: 'src/apply/drain.ts',
    from: '      await router.barrier(bounded.signal);',
    to: '',
  },
  {
    name: 'clears a slot without its drain',
    file: 'src/apply/deploy.ts',
    from: '  if (draining !== null) {',
    to: '  if (false) {',
  },
  {
    name: 'goes back without probing',
    file: 'src/apply/switch.ts',
    from: "  await untilHealthy(context, container.id, target, target.health.withinMs, context.stopping, (step) =>\n    context.report({ phase: 'probing', step }),\n  );",
    to: '',
  },
  {
    name: 'removes a candidate whose switch was taken back without its drain',
    file: 'src/apply/deploy.ts',
    from: 'mayHaveSwitched(deployment, attempt) && candidate',
    to: 'false && candidate',
    scenario: 'reverted while a switch that was taken back is tried again',
  },
  {
    name: 'removes a project by what it saw before its route went',
    file: 'src/reconcile.ts',
    from: "  'unroute',\n",
    to: '',
    seed: 8513,
  },
  {
    name: 'routes a first container that was made again without probing it',
    file: 'src/apply/switch.ts',
    from: '  if (state.startedAt === null) await probeAgain(deployment, state);',
    to: '',
    scenario: 'first container removed between its probes and its switch',
  },
  {
    name: 'removes a slot whose switch was taken back without its drain',
    file: 'src/plan/plan-letting-go.ts',
    from: 'const mayServe = !drained &&',
    to: 'const mayServe = false &&',
    scenario: 'reverted while it switches',
  },
  {
    name: 'leaks the candidate of a failed deployment',
    file: 'src/plan/plan-letting-go.ts',
    from: 'return { steps: mayServe ? drainStep(input, container) : [removals(container, why, null)], wakeAt: null };',
    to: 'return { steps: [], wakeAt: null };',
  },
  {
    name: 'keeps the previous slot for good',
    file: 'src/plan/plan-letting-go.ts',
    from: 'if (warmUntil <= input.now)',
    to: 'if (false)',
  },
  {
    name: 'forgets to sync the journal',
    file: 'src/record/journal.ts',
    from: '    await file.datasync();',
    to: '',
  },
  {
    name: 'forgets to sync the folder of a new journal',
    file: 'src/record/journal.ts',
    from: 'await syncFolder(stateDir);',
    to: '',
  },
  {
    name: 'removes what a failed read does not show',
    file: 'src/desired-projects.ts',
    from: "if (state === null) return { kind: 'unknown', message: 'the config repository has not been read yet' };",
    to: "if (state === null) return { kind: 'absent', configCommit: '', heldBecause: null };",
  },
  {
    name: 'removes everything when the folder is empty',
    file: 'src/plan/plan-removals.ts',
    from: 'gone.length === 0 || input.confirmed ? null : reasonToHold(input, gone)',
    to: 'null && reasonToHold(input, gone)',
  },
  {
    name: 'tries a stalled revision again without end',
    file: 'src/plan/plan-deployment.ts',
    from: 'if (failure.final || failure.rejected) return { ...nothing, blocked };',
    to: '',
  },
  {
    name: 'does not bring back a lost switch file',
    file: 'src/apply/apply-step.ts',
    from: '        restoreSwitch(context, step.slot, step.identity),',
    to: '        Promise.resolve(),',
  },
  {
    name: 'leaves the restart policy of the new live container',
    file: 'src/plan/plan-keeping.ts',
    from: "const policy = slot === live.slot ? 'unless-stopped' : 'no';",
    to: "const policy = 'no';",
  },
  {
    name: 'does not start a live container that stays down',
    file: 'src/plan/plan-keeping.ts',
    from: "container.state === 'exited' || container.state === 'created'",
    to: "container.state === 'created'",
  },
  {
    name: 'forgets the network of a removed project',
    file: 'src/plan/plan-removal.ts',
    from: 'if (network !== null) steps.push',
    to: 'if (false) steps.push',
  },
  {
    name: 'removes containers before the route',
    file: 'src/plan/plan-removal.ts',
    from: "if (route.present) steps.push({ kind: 'unroute', configCommit, why: 'its manifest is gone' });",
    to: '',
  },
  {
    name: 'says live what is only wanted',
    file: 'src/record/project-status.ts',
    from: `function liveStatus({ observed }: PlanInput): LiveStatus | null {
  const { live, route } = observed;
  if (live === null || !live.routed || live.identity === null) return null;
  const { slot, identity, record, container } = live;
  return {
    slot,
    revision: identity.revision,`,
    to: `function liveStatus({ observed, want }: PlanInput): LiveStatus | null {
  const { live, route } = observed;
  if (live === null || !live.routed || live.identity === null) return null;
  const { slot, identity, record, container } = live;
  return {
    slot,
    revision: want.kind === 'resolved' ? want.revision : identity.revision,`,
  },
  {
    name: "removes a stranger's container that holds its name",
    file: 'src/observe/observe-project.ts',
    from: 'if (holder !== null && !holder.ours) strangers[slot] = holder;',
    to: 'if (holder !== null && !holder.ours) await (runtime as unknown as { remove(id: string): Promise<void> }).remove(holder.id).catch(() => undefined);',
  },
  {
    name: 'never hears of the engine again after an outage',
    file: 'src/controller/engine-watch.ts',
    from: '    while (!stopping.aborted) {',
    to: '    for (let once = true; once; once = false) {',
  },
];
