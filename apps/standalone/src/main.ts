import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { AdminServer, alertNotifiers, AlertWatch, oidcOf } from '@cometmq/admin';
import { auditLogOf, authSamples, gateOf } from '@cometmq/auth';
import { bucketOf } from '@cometmq/backup';
import {
  Backups,
  backupSamples,
  BrokerReports,
  brokerSamples,
  BrokerService,
  InspectReports,
  MessageTracing,
  lagSamples,
  RestoreAtStart,
} from '@cometmq/broker';
import { auditDeliveriesOf, Directory, localAddress } from '@cometmq/client';
import { EmbeddedStore, NodeFiles } from '@cometmq/metadata';
import { IdentityRegistry, namesrvSamples, NamesrvService } from '@cometmq/namesrv';
import {
  advertisedOf,
  clientPort,
  clientPortMetrics,
  createMessagingService,
  limitsOf,
  proxyMetrics,
} from '@cometmq/proxy';
import { shownCertificateUntilMs } from '@cometmq/rpc';
import { causeText, systemActiveMs, systemClock as clock, version } from '@cometmq/shared';
import { FileDisk, FolderLock } from '@cometmq/store';
import { httpConnections, messageTracesOf, reachedAt, runProgram, Telemetry } from '@cometmq/telemetry';

import { standaloneConfig } from './config.js';
import { firstSteps } from './first-steps.js';
import { adminName, auditFileOf, profileOf } from './profile.js';

const read = (path: string): string => readFileSync(path, 'utf8');

/** How the command line is called where this was started from. */
const comet = process.env['npm_lifecycle_event'] === undefined ? 'comet' : 'npm run comet --';

/** Built beside this program. */
const consoleFolder = join(import.meta.dirname, '../dashboard-web');

/** All parts in one process: the same modules as apart, called without a network between them. */
void runProgram({
  declared: standaloneConfig,
  readFile: read,
  build: (config, { log, fatal }) => {
    const failed = (said: string, cause: unknown): void => log.error({ cause: causeText(cause) }, said);
    const disk = new FileDisk(config.dataDir);
    const lock = new FolderLock(disk, 'metadata');
    const store = new EmbeddedStore(new NodeFiles(join(config.dataDir, 'metadata')), clock, {
      say: (line) => log.warn({}, line),
    });
    const nameService = new NamesrvService({ ...config, store, clock, log });
    const directory = new Directory(nameService, clock);
    const unreadable = (key: string): void => log.error({ key }, 'a metadata key holds something else than it should');
    const refused = (reason: string): void => log.error({ reason }, 'the users in the metadata store are refused');
    const clusterId = (): string => nameService.clusterId;
    const identities = new IdentityRegistry({ store, clock, clusterId, unreadable, refused });
    const profile = profileOf(config);
    // Who reads "ready", and the credentials beside it, may use them.
    const gate = gateOf({ config, files: profile.files, identities, clock, log, startWaitMs: 10_000 });
    const traces = messageTracesOf(config, { service: 'cometmq', version });
    const { brokerName } = config;
    const tracing = traces && new MessageTracing({ traces, directory, clock, brokerName });
    const broker = new BrokerService({
      ...config,
      tracing,
      disk,
      folder: 'broker',
      nameService,
      registry: nameService.sets,
      directory,
      clock,
      log,
      address: () => localAddress,
      onFatal: fatal,
    });
    const link = tracing ? tracing.around(broker) : broker;
    const links = { link: (set: string) => (set === brokerName ? link : undefined) };
    const limits = limitsOf(config);
    const advertised = advertisedOf(config.advertisedAddress);
    const auditFile = auditFileOf(config, profile);
    const audit = auditLogOf(clock, auditFile);
    const messaging = createMessagingService({
      traces,
      nameService,
      directory,
      links,
      clock,
      limits,
      advertised,
      log: failed,
      access: gate.access,
      audit,
    });
    const unready = (): string | undefined => gate.unready() ?? broker.unready();
    const door = clientPort({ config, messaging, clock, log, readFile: read, unready });
    const bucket = bucketOf(config, clock);
    const restore = new RestoreAtStart({
      place: { disk, folder: 'broker', brokerName: config.brokerName },
      ...{ bucket, wanted: config.restoreFrom, clock, log },
    });
    const backups = new Backups({
      ...{ broker, bucket, brokerSet: config.brokerName, release: version, clock, log },
      bytesPerSecond: config.backupBytesPerSecond,
      keep: config,
    });
    const inspection = new InspectReports({ broker, disk, folder: 'broker', clock, log, activeMs: systemActiveMs });
    const brokers = new BrokerReports(broker, directory, config.brokerName, version, inspection, backups);
    const deliveries = auditDeliveriesOf(auditFile, {
      ...{ wanted: config.auditTopic, brokers, directory, clock, log, process: 'standalone' },
    });
    const alerts = new AlertWatch({
      ...config,
      context: { directory, brokers, clock, requestMsMax: config.adminRequestMsMax },
      log,
      notifiers: alertNotifiers(config, clock),
      tlsAddresses: () => config.alertTlsAddresses,
      certificateUntilMs: (shownAt, msMax) => shownCertificateUntilMs(shownAt, msMax, clock),
    });
    const admin = new AdminServer({
      nameService,
      directory,
      brokers,
      clock,
      log,
      version,
      host: config.adminHost,
      port: config.adminPort,
      hostNames: config.adminHostNames,
      trustedProxies: config.trustedProxies,
      connections: httpConnections(config),
      consoleFolder,
      alerts: alerts.book,
      requestMsMax: config.adminRequestMsMax,
      audit,
      identity: gate.users && {
        ...gate.users,
        ...{ service: identities, clock, clusterName: config.clusterName, oidc: oidcOf(config, read) },
        printedAdmin: adminName,
      },
    });
    const labels = { cluster: config.clusterName, node_type: 'broker', node_id: config.brokerName };
    const telemetry = new Telemetry({
      service: 'cometmq',
      version,
      labels,
      host: config.metricsHost,
      port: config.metricsPort,
      connections: httpConnections(config),
      otlpEndpoint: config.otlpEndpoint,
      clock,
    });
    telemetry.addReadiness(unready);
    telemetry.addDegradation(() => broker.degraded());
    telemetry.addSource(() => brokerSamples(broker, directory, clock));
    telemetry.addSource(() => backupSamples(broker, backups));
    telemetry.addSource(() => namesrvSamples(nameService));
    telemetry.addSource(() => lagSamples(inspection, directory, clock));
    telemetry.addSource(() => authSamples(gate.users));
    telemetry.addSource(proxyMetrics(messaging));
    telemetry.addSource(clientPortMetrics(() => door.seen, 'local'));
    return {
      parts: [
        telemetry,
        ...(traces ? [traces] : []),
        lock,
        store,
        nameService,
        identities,
        ...gate.parts,
        directory,
        restore,
        broker,
        backups,
        inspection,
        ...deliveries,
        messaging,
        door,
        admin,
        alerts,
      ],
      ready: () => {
        for (const line of profile.firstLogin) process.stdout.write(`${line}\n`);
        return {
          what: `CometMQ ${version}`,
          facts: {
            clients: `${reachedAt(config.proxyHost, door.port)} (gRPC)`,
            console: `http://${reachedAt(config.adminHost, admin.port)}/`,
            api: `http://${reachedAt(config.adminHost, admin.port)}/docs`,
            metrics: `http://${reachedAt(config.metricsHost, telemetry.port)}/metrics`,
            data: resolve(config.dataDir),
          },
          advice: firstSteps(comet, reachedAt(config.proxyHost, door.port)),
        };
      },
    };
  },
});
