/** The administrators' way in, as a process of its own. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import {
  AdminServer,
  alertNotifiers,
  AlertWatch,
  externalScalerService,
  oidcOf,
  ResourceController,
  JoiningSets,
  LeaderAudit,
  SetScaling,
  type AdminContext,
} from '@cometmq/admin';
import {
  auditDeliveriesOf,
  Directory,
  GrpcBrokerAdmin,
  GrpcIdentityService,
  GrpcNameService,
  GrpcPeers,
  GrpcSetRegistry,
  LeaderChannels,
  Leaders,
  NameServers,
} from '@cometmq/client';
import { auditLogOf, authSamples, gateFiles, gateOf } from '@cometmq/auth';
import {
  addressesOf,
  FrontDoorServer,
  internalConnections,
  podKubernetesApi,
  processChannels,
  processTlsOf,
  refusesConnection,
  shownCertificateUntilMs,
  rememberNames,
} from '@cometmq/rpc';
import { causeText, systemChance, systemClock as clock, version, type Component } from '@cometmq/shared';
import { httpConnections, lineFileOf, reachedAt, runProgram, Telemetry } from '@cometmq/telemetry';

import { dashboardApiConfig } from './config.js';

/** Built beside this program. */
const consoleFolder = join(import.meta.dirname, '../dashboard-web');

/** How often broker sets are compared with their pods. */
const scalingEveryMs = 2_000;

/** Another process acts for the resources of Kubernetes so long after this one is gone without a word. */
const controllerLeaseMs = 15_000;
const controllerResyncMs = 300_000;

const read = (path: string): string => readFileSync(path, 'utf8');

void runProgram({
  declared: dashboardApiConfig,
  readFile: read,
  build: (config, { log }) => {
    rememberNames();
    const tls = processTlsOf(config, read, clock, (level, said, facts) => log[level](facts, said));
    const connect = processChannels(tls, clock);
    const telemetry = new Telemetry({
      ...{ service: 'dashboard-api', version, clock, otlpEndpoint: config.otlpEndpoint },
      ...{ host: config.metricsHost, port: config.metricsPort },
      connections: httpConnections(config),
      labels: { cluster: config.clusterName, node_type: 'dashboard-api', node_id: hostname() },
    });
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
    const sets = new GrpcSetRegistry({ nameServers, connect: connect.namesrv, clock });
    const leaders = new Leaders(directory, clock, (address, brokerSet) => peers.peer(address).status(brokerSet));
    const channels = new LeaderChannels(directory, leaders, connect.broker, clock, config.adminRequestMsMax);
    const brokers = new GrpcBrokerAdmin(channels);
    const alerts = new AlertWatch({
      ...config,
      context: { directory, brokers, peers, clock, requestMsMax: config.adminRequestMsMax },
      log,
      notifiers: alertNotifiers(config, clock),
      tlsAddresses: () => [...config.alertTlsAddresses, ...(tls ? leaderAddresses(directory) : [])],
      certificateUntilMs: (shownAt, msMax) => shownCertificateUntilMs(shownAt, msMax, clock),
    });
    const auditFile = lineFileOf(config.auditFile, config.auditFileBytesMax);
    const audit = auditLogOf(clock, auditFile);
    const deliveries = auditDeliveriesOf(auditFile, {
      ...{ wanted: config.auditTopic, brokers, directory, clock, log, process: `dashboard-api ${hostname()}` },
    });
    const context: AdminContext = {
      ...{ nameService, directory, brokers, peers, sets, clock, log, audit },
      requestMsMax: config.adminRequestMsMax,
      alerts: alerts.book,
      identity: gate.users && {
        ...gate.users,
        ...{ service: identities, clock, clusterName: config.clusterName, oidc: oidcOf(config, read) },
      },
    };
    const admin = new AdminServer({
      ...context,
      ...{ version, consoleFolder, connections: httpConnections(config), trustedProxies: config.trustedProxies },
      ...{ host: config.adminHost, port: config.adminPort, hostNames: config.adminHostNames },
    });
    const keda = externalScalerService({ directory, brokers, clock, requestMsMax: config.adminRequestMsMax });
    const scaler = new FrontDoorServer({
      ...{ name: 'KEDA scaler', host: config.adminHost, port: config.kedaPort, clock },
      // KEDA's operator is no process of ours: it is told no error codes of ours, and has no more room than a client.
      mode: 'plaintext-only',
      limits: internalConnections(config),
      tell: (level, said, facts) => log[level](facts, said),
      services: [keda],
      log: (said, cause) => log.error({ cause: causeText(cause) }, said),
    });
    scaler.onStopping(() => keda.close());
    const scalers = config.kedaPort === 0 ? [] : [scaler];
    const { kubernetesDir, scalingNotes: notes, controllerLease: lease } = config;
    const asking: Component[] = [];
    if (kubernetesDir !== '') {
      const kubernetes = podKubernetesApi((name) => read(join(kubernetesDir, name)), clock);
      const ofScaling = { selector: config.scalingSelector, heldMax: config.scaleInHeldMax, everyMs: scalingEveryMs };
      if (notes !== '') asking.push(new SetScaling({ context, kubernetes, log, notes, ...ofScaling }));
      const ofLease = { lease, identity: hostname(), leaseMs: controllerLeaseMs, resyncMs: controllerResyncMs };
      if (lease !== '') asking.push(new ResourceController({ context, kubernetes, chance: systemChance, ...ofLease }));
    }
    asking.push(new JoiningSets({ context, log, everyMs: scalingEveryMs }));
    telemetry.addReadiness(() => gate.unready() ?? admin.unready());
    telemetry.addSource(() => authSamples(gate.users));
    return {
      parts: [
        telemetry,
        ...(tls ? [tls] : []),
        nameServers,
        nameService,
        sets,
        identities,
        ...gate.parts,
        directory,
        new LeaderAudit(directory, audit),
        leaders,
        channels,
        ...deliveries,
        admin,
        alerts,
        ...scalers,
        ...asking,
      ],
      ready: () => ({
        what: `CometMQ ${version}: the REST API`,
        facts: {
          console: `http://${reachedAt(config.adminHost, admin.port)}/`,
          api: `http://${reachedAt(config.adminHost, admin.port)}/docs`,
        },
      }),
    };
  },
});

/** Where broker sets are led: there, TLS between our processes shows its certificates. */
function leaderAddresses(directory: Directory): string[] {
  return [...directory.brokerSets()].flatMap(({ leader }) => leader ?? []);
}
