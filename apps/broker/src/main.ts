import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';

import { bucketOf } from '@cometmq/backup';
import {
  Backups,
  backupSamples,
  brokerGrpcService,
  BrokerReports,
  brokerSamples,
  BrokerService,
  inspectGrpcService,
  InspectReports,
  lagSamples,
  LinkMeter,
  linkSamples,
  MemberDoor,
  MessageTracing,
  replicationGrpcService,
  RestoreAtStart,
} from '@cometmq/broker';
import {
  AddressesAhead,
  Directory,
  GrpcNameService,
  GrpcPeers,
  GrpcSetRegistry,
  processCallers,
  stopReason,
  NameServers,
} from '@cometmq/client';
import {
  addressesOf,
  FrontDoorServer,
  internalConnections,
  lookUpAhead,
  podKubernetesApi,
  processChannels,
  processTlsOf,
  refusesConnection,
  rememberNames,
} from '@cometmq/rpc';
import { causeText, systemActiveMs, systemClock as clock, version } from '@cometmq/shared';
import { FileDisk } from '@cometmq/store';
import { httpConnections, messageTracesOf, reachedAt, runProgram, Telemetry } from '@cometmq/telemetry';

import { brokerConfig } from './config.js';

/** Of the stop itself: a last checkpoint, and answers under way. */
const stopMsMax = 30_000;

const read = (path: string): string => readFileSync(path, 'utf8');

void runProgram({
  declared: brokerConfig,
  readFile: read,
  build: (config, { log, fatal }) => {
    // What members send each other are large buffers that live for a moment. V8 frees them with the young generation, which it
    // lets grow until that is hardly ever collected; then it marks the whole heap for each 64 MiB of them instead.
    if (config.membersWanted > 1) setFlagsFromString('--semi-space-growth-factor=1');
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
    const registry = new GrpcSetRegistry({ nameServers, connect: connect.namesrv, clock });
    const peers = new GrpcPeers({
      connect: connect.broker,
      refuses: (at, msMax) => refusesConnection(at, msMax, clock),
      clock,
    });
    const directory = new Directory(nameService, clock);
    const addresses = new AddressesAhead(directory, clock, lookUpAhead, config.brokerName);
    const disk = new FileDisk(config.dataDir);
    const folder = 'broker';
    const { kubernetesDir, podName } = config;
    const kubernetes = kubernetesDir && podKubernetesApi((name) => read(join(kubernetesDir, name)), clock);
    const { brokerName } = config;
    const traces = messageTracesOf(config, { service: 'broker', version, instance: brokerName });
    const tracing = traces && new MessageTracing({ traces, directory, clock, brokerName });
    const broker: BrokerService = new BrokerService({
      ...config,
      tracing,
      ...(kubernetes && { stopReason: () => stopReason(kubernetes, podName) }),
      disk,
      folder,
      nameService,
      registry,
      peers,
      directory,
      clock,
      log,
      address: (): string => config.advertisedAddress || `${hostname()}:${server.port}`,
      onFatal: fatal,
    });
    const bucket = bucketOf(config, clock);
    const restore = new RestoreAtStart({
      place: { disk, folder: folder, brokerName: config.brokerName },
      ...{ bucket, wanted: config.restoreFrom, clock, log },
    });
    const backups = new Backups({
      ...{ broker, bucket, brokerSet: config.brokerName, release: version, clock, log },
      bytesPerSecond: config.backupBytesPerSecond,
      keep: config,
    });
    const inspection = new InspectReports({ broker, disk, folder, clock, log, activeMs: systemActiveMs });
    const reports = new BrokerReports(broker, directory, config.brokerName, version, inspection, backups);
    const meter = new LinkMeter();
    const link = tracing ? tracing.around(broker) : broker;
    const door = brokerGrpcService(link, reports, brokerName, clock, meter);
    const members = replicationGrpcService(
      new MemberDoor(config.brokerName, broker.member, peers, clock, broker),
      clock,
    );
    const server: FrontDoorServer = new FrontDoorServer({
      name: 'broker service',
      host: config.host,
      port: config.port,
      services: [door, members, inspectGrpcService(inspection, config.brokerName)],
      internal: { tls: tls && { process: tls, callers: processCallers } },
      limits: internalConnections(config),
      tell: (level, said, facts) => log[level](facts, said),
      clock,
      log: (said, cause) => log.error({ cause: causeText(cause) }, said),
    });
    // Links and followers' streams never end by themselves.
    server.onStopping(() => {
      door.close();
      members.close();
    });
    const telemetry = new Telemetry({
      service: 'broker',
      version,
      labels: { cluster: config.clusterName, node_type: 'broker', node_id: config.brokerName },
      host: config.metricsHost,
      port: config.metricsPort,
      connections: httpConnections(config),
      otlpEndpoint: config.otlpEndpoint,
      clock,
    });
    telemetry.addReadiness(() => broker.unready());
    telemetry.addDegradation(() => broker.degraded());
    telemetry.addSource(() => brokerSamples(broker, directory, clock));
    telemetry.addSource(() => backupSamples(broker, backups));
    telemetry.addSource(() => lagSamples(inspection, directory, clock));
    telemetry.addSource(() => linkSamples(meter));
    return {
      parts: [
        telemetry,
        ...(traces ? [traces] : []),
        ...(tls ? [tls] : []),
        nameServers,
        nameService,
        registry,
        directory,
        addresses,
        restore,
        server,
        broker,
        backups,
        inspection,
      ],
      // As long as it stays for each of the others, or for its set to leave, besides what a stop takes anyway.
      stopMsMax: stopMsMax + Math.max(config.restartWaitMs * config.membersWanted, config.scaleInWaitMs),
      ready: () => ({
        what: `CometMQ ${version}: the broker ${config.brokerName}`,
        facts: { address: reachedAt(config.host, server.port), data: resolve(config.dataDir) },
      }),
    };
  },
});
