import { randomUUID } from 'node:crypto';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import type { EngineClient } from './engine-client.js';
import { credentialFor, dockerConfigFolder } from './registry-auth.js';

/*
 * BuildKit asks its client for registry credentials over a connection that the client opened: HTTP/2
 * and gRPC, with the roles reversed. Without one, a FROM whose registry wants any sign-in (Docker Hub
 * hands out tokens even to nobody) fails with "no active sessions". dockerode brings such a session,
 * but with one credential for every registry, no end on abort, and no health service, for lack of
 * which the engine drops it after a second.
 */

const { Type, Field } = protobuf;
const credentialsRequest = new Type('CredentialsRequest').add(new Field('Host', 1, 'string'));
const credentialsResponse = new Type('CredentialsResponse')
  .add(new Field('Username', 1, 'string'))
  .add(new Field('Secret', 2, 'string'));
const healthRequest = new Type('HealthCheckRequest').add(new Field('service', 1, 'string'));
const healthResponse = new Type('HealthCheckResponse').add(new Field('status', 1, 'int32'));
const serving = 1;

const credentialsMethod = '/moby.filesync.v1.Auth/Credentials';
const healthMethod = '/grpc.health.v1.Health/Check';

export interface BuildSession {
  /** The build's `session` parameter. */
  readonly id: string;
  close(): void;
}

/** Opens a session that answers BuildKit's questions for credentials out of Docker's configuration. */
export async function openSession(client: EngineClient, signal: AbortSignal): Promise<BuildSession> {
  const id = randomUUID();
  const socket = await client.hijack({
    what: 'open a build session',
    method: 'POST',
    path: '/session',
    headers: {
      Upgrade: 'h2c',
      'X-Docker-Expose-Session-Uuid': id,
      'X-Docker-Expose-Session-Name': 'pointsman',
      'X-Docker-Expose-Session-Grpc-Method': [credentialsMethod, healthMethod],
    },
    signal,
  });
  const server = new Server();
  server.addService(
    service(credentialsMethod, credentialsRequest, credentialsResponse),
    credentialsHandler(signal),
  );
  server.addService(service(healthMethod, healthRequest, healthResponse), {
    call: (_: unknown, answer: Answer) => answer(null, { status: serving }),
  } as UntypedServiceImplementation);
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(socket);
  return {
    id,
    close: () => {
      server.forceShutdown();
      socket.destroy();
    },
  };
}

type Answer = (error: Error | null, value: object) => void;

function credentialsHandler(signal: AbortSignal): UntypedServiceImplementation {
  const call = (request: { readonly request: { readonly Host?: string } }, answer: Answer): void => {
    const host = request.request.Host ?? '';
    credentialFor(host, dockerConfigFolder(), signal).then(
      // An empty user name says that the secret is an identity token.
      ({ credential }) =>
        answer(null, { Username: credential?.username ?? '', Secret: credential?.secret ?? '' }),
      () => answer(null, {}),
    );
  };
  return { call } as UntypedServiceImplementation;
}

/** A gRPC service with the one method `path`. */
function service(path: string, request: protobuf.Type, response: protobuf.Type): ServiceDefinition {
  const encode = (type: protobuf.Type) => (value: object) =>
    Buffer.from(type.encode(type.fromObject(value)).finish());
  const decode = (type: protobuf.Type) => (bytes: Buffer) =>
    type.toObject(type.decode(bytes), { defaults: true });
  return {
    call: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: encode(request),
      requestDeserialize: decode(request),
      responseSerialize: encode(response),
      responseDeserialize: decode(response),
    },
  };
}
