import { PointsmanError } from '../errors.js';
import type { EngineClient } from './engine-client.js';
import { carriesInstance, instanceLabel, projectLabel } from './labels.js';

/**
 * Makes the volume with our label: the engine would make one that a container names, but without.
 * Nothing here ever removes one. @throws NameTaken when the name is a stranger's
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
  if (carriesInstance(volume.Labels, instance)) return;
  throw new PointsmanError(
    'NameTaken',
    `the volume name ${name} is held by a volume that instance ${instance} did not make; rename the volume in the manifest, or copy its data into one with the label ${instanceLabel}=${instance}`,
    { detail: { volume: name } },
  );
}
