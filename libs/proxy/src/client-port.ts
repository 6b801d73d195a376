/** The port that clients connect to, made from the settings: the same in the proxy and in the standalone program. */
import { FrontDoorServer, type FrontDoorLimits } from '@cometmq/rpc';
import type { Clock, Values } from '@cometmq/shared';
import { causeText } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import type { MessagingService } from './messaging/messaging-service.js';
import type { proxySettings } from './settings.js';
import { Health } from './standard/health.js';
import { reflectionServices } from './standard/reflection.js';

export interface ClientPortParts {
  readonly config: Values<typeof proxySettings>;
  readonly messaging: MessagingService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readFile: (path: string) => string;
  /** Why this process does not serve yet; undefined: it does. */
  readonly unready: () => string | undefined;
}

export function clientPort(parts: ClientPortParts): FrontDoorServer {
  const { config, messaging, clock, log, readFile, unready } = parts;
  const health = new Health({ clock, services: [messaging.service], unready });
  const services = [messaging.service, health.service];
  const { tlsCertFile, tlsKeyFile } = config;
  const server = new FrontDoorServer({
    host: config.proxyHost,
    port: config.proxyPort,
    mode: config.listenMode,
    proxyProtocol: config.proxyProtocol,
    ...(tlsCertFile !== '' && {
      identity: () => ({ certPem: readFile(tlsCertFile), keyPem: readFile(tlsKeyFile) }),
    }),
    services: [...services, ...reflectionServices(services)],
    clock,
    log: (said, cause) => log.error({ cause: causeText(cause) }, said),
    tell: (level, said, facts) => log[level](facts, said),
    limits: {
      ...memoryLimits(config.clientMemoryBytesMax),
      connectionsMax: config.clientConnectionsMax,
      addressConnectionsMax: Math.min(config.clientConnectionsMax, config.clientConnectionsPerAddressMax),
    },
  });
  server.onStopping(() => health.drain());
  server.onStopping(() => messaging.drain());
  return server;
}

const connectionAnswerBytesMax = 16 * 1024 * 1024;

/** Half for each direction; of that, one connection has a quarter at most for its answers, and half for its requests. */
function memoryLimits(bytesMax: number): Partial<FrontDoorLimits> {
  const half = Math.floor(bytesMax / 2);
  return {
    serverHeldBytesMax: half,
    connectionHeldBytesMax: half / 2,
    serverQueuedBytesMax: half,
    connectionQueuedBytesMax: Math.min(connectionAnswerBytesMax, half / 4),
  };
}
