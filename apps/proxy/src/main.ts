import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

import { auditLogOf, authSamples, gateFiles, gateOf } from '@cometmq/auth';
import {
  AddressesAhead,
  auditDeliveriesOf,
  Directory,
  GrpcBrokerAdmin,
  GrpcIdentityService,
  GrpcNameService,
  GrpcPeers,
  LeaderChannels,
  Leaders,
  RemoteBrokerLinks,
  NameServers,
} from '@cometmq/client';
import {
  advertisedOf,
  clientPort,
  clientPortMetrics,
  createMessagingService,
  Drain,
  limitsOf,
  proxyMetrics,
} from '@cometmq/proxy';
import {
  addressesOf,
  lookUpAhead,
  processChannels,
  processTlsOf,
  refusesConnection,
  rememberNames,
} from '@cometmq/rpc';
import { causeText, systemClock as clock, version } from '@cometmq/shared';
import { httpConnections, lineFileOf, messageTracesOf, reachedAt, runProgram, Telemetry } from '@cometmq/telemetry';

import { proxyConfig } from './config.js';

/** Of the stop itself: calls under way. */
const stopMsMax = 30_000;

const read = (path: string): string => readFileSync(path, 'utf8');

void runProgram({
  declared: proxyConfig,
  readFile: read,
  build: (config, { log }) => {
    const failed = (said: string, cause: unknown): void => log.error({ cause: causeText(cause) }, said);
    rememberNames();
    const tls = processTlsOf(config, read, clock, (level, said, facts) => log[level](facts, said));
    const connect = processChannels(tls, clock);
    const nameServers = new NameServers({ addresses: config.namesrvAddresses, clock, lookUp: addressesOf });
    const nameService = new GrpcNameService({
      nameServers,
      connect: connect.namesrv,
      clock,
      onRefused: (reason) => log.error({ reason }, 'the metadata that the name service shows is refused'),
    });
    const identities = new GrpcIdentityService({
      nameServers,
      connect: connect.namesrv,
      clock,
      onRefused: (reason) => log.error({ reason }, 'the users that the name service shows are refused'),
    });
    const gate = gateOf({ config, files: gateFiles(config, read), identities, clock, log });
    const directory = new Directory(nameService, clock);
    const peers = new GrpcPeers({
      connect: connect.broker,
      clock,
      refuses: (address, msMax) => refusesConnection(address, msMax, clock),
    });
    const leaders = new Leaders(directory, clock, (address, brokerSet) => peers.peer(address).status(brokerSet));
    const links = new RemoteBrokerLinks(leaders, connect.broker, clock);
    const auditFile = lineFileOf(config.auditFile, config.auditFileBytesMax);
    const audit = auditLogOf(clock, auditFile);
    const channels = new LeaderChannels(directory, leaders, connect.broker, clock);
    const deliveries = auditDeliveriesOf(auditFile, {
      ...{ wanted: config.auditTopic, brokers: new GrpcBrokerAdmin(channels), directory, clock, log },
      process: `proxy ${hostname()}`,
    });
    const traces = messageTracesOf(config, { service: 'proxy', version, instance: hostname() });
    const messaging = createMessagingService({
      traces,
      nameService,
      directory,
      links,
      clock,
      limits: limitsOf(config),
      advertised: advertisedOf(config.advertisedAddress),
      log: failed,
      access: gate.access,
      audit,
    });
    const led = (): boolean => [...directory.brokerSets()].some(({ name }) => leaders.leader(name) !== undefined);
    const drain = new Drain({
      drainMs: config.drainMs,
      clock,
      connections: () => door.seen.connectionsOpen,
      tell: (facts) => log.info(facts, 'serves on until clients have learned where else to go'),
    });
    const unready = (): string | undefined =>
      drain.unready() ?? gate.unready() ?? (led() ? undefined : 'no broker set has a leader yet');
    const door = clientPort({ config, messaging, clock, log, readFile: read, unready });
    const telemetry = new Telemetry({
      service: 'proxy',
      version,
      labels: { cluster: config.clusterName, node_type: 'proxy', node_id: hostname() },
      host: config.metricsHost,
      port: config.metricsPort,
      connections: httpConnections(config),
      otlpEndpoint: config.otlpEndpoint,
      clock,
    });
    telemetry.addReadiness(unready);
    telemetry.addSource(() => authSamples(gate.users));
    telemetry.addSource(proxyMetrics(messaging));
    telemetry.addSource(clientPortMetrics(() => door.seen, 'cluster'));
    return {
      parts: [
        telemetry,
        ...(traces ? [traces] : []),
        ...(tls ? [tls] : []),
        nameServers,
        nameService,
        identities,
        ...gate.parts,
        directory,
        new AddressesAhead(directory, clock, lookUpAhead),
        leaders,
        links,
        channels,
        ...deliveries,
        messaging,
        door,
        drain,
      ],
      stopMsMax: stopMsMax + config.drainMs,
      ready: () => ({
        what: `CometMQ ${version}: the proxy`,
        facts: { clients: reachedAt(config.proxyHost, door.port) },
      }),
    };
  },
});
