import type Docker from 'dockerode';
import { writeLabels } from './labels.js';
import type { ContainerSpec } from './port.js';

/** Output is kept by the engine, compressed and bounded: 30 MB a container. */
const logConfig = { Type: 'local', Config: { 'max-size': '10m', 'max-file': '3' } };

/** Of a read-only container: counts towards its memory limit. */
const temporaryFolder = { '/tmp': 'rw,nosuid,nodev,mode=1777,size=256m' };

/**
 * What the engine is asked for. Nothing is published, nothing of the host is handed in; the run
 * defaults of every container stand here and nowhere else.
 */
export function containerOptions(spec: ContainerSpec, hasInit: boolean): Docker.ContainerCreateOptions {
  const fixed = spec.address === null ? {} : { IPAMConfig: { IPv4Address: spec.address } };
  return {
    name: spec.name,
    Image: spec.image,
    Labels: writeLabels(spec.labels),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    StopTimeout: Math.ceil(spec.stopTimeoutMs / 1000),
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    ...(spec.user === null ? {} : { User: spec.user }),
    HostConfig: {
      NetworkMode: spec.network.name,
      RestartPolicy: { Name: spec.restartPolicy },
      Init: hasInit,
      Privileged: false,
      SecurityOpt: ['no-new-privileges'],
      CapDrop: ['NET_RAW', 'MKNOD', 'AUDIT_WRITE'],
      PidsLimit: spec.pids,
      LogConfig: logConfig,
      ExtraHosts: ['host.docker.internal:host-gateway'],
      Mounts: spec.volumes.map(({ volume, path }) => ({
        Type: 'volume' as const,
        Source: volume,
        Target: path,
      })),
      // Swap as large as memory means none: the limit is what it says.
      ...(spec.memoryBytes === null ? {} : { Memory: spec.memoryBytes, MemorySwap: spec.memoryBytes }),
      ...(spec.cpus === null ? {} : { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(spec.readOnly ? { ReadonlyRootfs: true, Tmpfs: temporaryFolder } : {}),
    },
    NetworkingConfig: { EndpointsConfig: { [spec.network.name]: fixed } },
  };
}
