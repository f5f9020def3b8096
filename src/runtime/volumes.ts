import { PointsmanError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import { carriesInstance, instanceLabel, projectLabel } from './labels.js';

/**
 * Makes the volume with our label: the engine would make one that a container names, but without.
 * Nothing here ever removes one. @throws NameTaken when the name is a stranger's or another project's
 */
export async function ensureVolume(
  deps: { readonly client: EngineClient; readonly instance: string },
  name: string,
  project: string,
): Promise<void> {
  const { client, instance } = deps;
  const options = { Name: name, Labels: { [instanceLabel]: instance, [projectLabel]: project } };
  // Making one that is there changes nothing, so two that come at once are fine.
  const volume = await client.call(`make the volume ${name}`, async (docker) => {
    await docker.createVolume(options);
    return docker.getVolume(name).inspect();
  });
  const owner = volume.Labels?.[projectLabel] ?? project;
  if (carriesInstance(volume.Labels, instance) && owner === project) return;
  // `b-c` of project `a` and `c` of project `a-b` have one name.
  const message = carriesInstance(volume.Labels, instance)
    ? `the volume name ${name} is held by project ${owner}; rename the volume in the manifest`
    : `the volume name ${name} is held by a volume that instance ${instance} did not make; rename the volume in the manifest, or copy its data into one with the label ${instanceLabel}=${instance}`;
  throw new PointsmanError('NameTaken', message, { detail: { volume: name } });
}
