import { readFileSync } from 'node:fs';

import { processCallers } from '@cometmq/client';
import { etcdAddressOf, EtcdStore, EtcdUsers } from '@cometmq/metadata';
import {
  EtcdFigures,
  identityDoor,
  IdentityRegistry,
  namesrvSamples,
  namingService,
  NamesrvService,
  setRegistryDoor,
} from '@cometmq/namesrv';
import { FrontDoorServer, internalConnections, processTlsOf, rememberNames } from '@cometmq/rpc';
import { causeText, systemClock as clock, version } from '@cometmq/shared';
import { httpConnections, reachedAt, runProgram, Telemetry } from '@cometmq/telemetry';

import { namesrvConfig } from './config.js';

const read = (path: string): string => readFileSync(path, 'utf8');

void runProgram({
  declared: namesrvConfig,
  readFile: read,
  build: (config, { log, fatal }) => {
    let serves = false;
    rememberNames();
    const tls = processTlsOf(config, read, clock, (level, said, facts) => log[level](facts, said));
    const etcdFigures = new EtcdFigures();
    const store = new EtcdStore({
      ...etcdAddressOf(config, read),
      root: config.etcdRoot,
      clock,
      say: (line) => log.warn({}, line),
      tell: (level, said, facts) => log[level](facts, said),
      onRequest: etcdFigures.done,
    });
    const etcdUsers = new EtcdUsers({
      ...{ address: () => etcdAddressOf(config, read), root: config.etcdRoot, clock },
      password: () => read(config.etcdRootPasswordFile),
      tell: (level, said, facts) => log[level](facts, said),
    });
    const nameService = new NamesrvService({ ...config, store, clock, log, onReplaced: fatal });
    const door = namingService(nameService);
    const unreadable = (key: string): void => log.error({ key }, 'a metadata key holds something else than it should');
    const refused = (reason: string): void => log.error({ reason }, 'the users in the metadata store are refused');
    const clusterId = (): string => nameService.clusterId;
    const identities = new IdentityRegistry({ store, clock, clusterId, unreadable, refused });
    const identityService = identityDoor(identities);
    const server = new FrontDoorServer({
      name: 'name service',
      host: config.host,
      port: config.port,
      services: [door, setRegistryDoor(nameService.sets), identityService],
      internal: { tls: tls && { process: tls, callers: processCallers } },
      limits: internalConnections(config),
      tell: (level, said, facts) => log[level](facts, said),
      clock,
      log: (said, cause) => log.error({ cause: causeText(cause) }, said),
    });
    server.onStopping(() => {
      door.close(); // Watches never end by themselves.
      identityService.close();
    });
    const telemetry = new Telemetry({
      service: 'namesrv',
      version,
      labels: { cluster: config.clusterName, node_type: 'namesrv', node_id: `${config.host}:${config.port}` },
      host: config.metricsHost,
      port: config.metricsPort,
      connections: httpConnections(config),
      otlpEndpoint: config.otlpEndpoint,
      clock,
    });
    telemetry.addSource(() => namesrvSamples(nameService));
    telemetry.addSource(() => etcdFigures.samples(store));
    telemetry.addReadiness(() => (serves ? undefined : 'the directory has not come from etcd yet'));
    const gate = {
      name: 'readiness',
      start: () => Promise.resolve(void (serves = true)),
      stop: () => Promise.resolve(void (serves = false)),
    };
    return {
      parts: [
        telemetry,
        ...(tls ? [tls] : []),
        ...(config.etcdRootPasswordFile === '' ? [] : [etcdUsers]),
        store,
        nameService,
        identities,
        server,
        gate,
      ],
      ready: () => ({
        what: `CometMQ ${version}: the name server`,
        facts: { address: reachedAt(config.host, server.port) },
      }),
    };
  },
});
