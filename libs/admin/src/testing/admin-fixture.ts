import { AuditLog, type AuditSink, gateOf } from '@cometmq/auth';
import type { FakeIdentities } from '@cometmq/auth/testing';
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { systemClock, type Clock } from '@cometmq/shared';
import { silentLogger, type Logger } from '@cometmq/telemetry';

import { AdminServer } from '../admin-server.js';
import type { OidcProvider } from '../oidc/oidc-provider.js';
import { FakeBrokers } from './fake-brokers.js';
import { FakeMembers } from './fake-members.js';

export interface AdminFixture {
  readonly nameService: FakeNameService;
  readonly brokers: FakeBrokers;
  readonly members: FakeMembers;
  readonly directory: Directory;
  readonly server: AdminServer;
  readonly url: string;
  stop(): Promise<void>;
}

interface AdminFixtureOptions {
  readonly clock?: Clock;
  readonly consoleFolder?: string;
  /** How long deletions can be taken back; left out: not at all. */
  readonly graceMs?: number;
  /** Left out: there are no users. */
  readonly identities?: FakeIdentities;
  readonly oidc?: OidcProvider;
  readonly log?: Logger;
  readonly audit?: AuditSink;
  /** Left out: more than any machine needs for what is all in memory. */
  readonly requestMsMax?: number;
  readonly trustedProxies?: readonly string[];
}

/** The real REST API on a free port of this machine, over a cluster of one healthy broker set that is all fake. */
export async function startAdminFixture({
  clock = systemClock,
  consoleFolder,
  graceMs = 0,
  identities,
  oidc,
  log = silentLogger,
  audit,
  requestMsMax = 60_000,
  trustedProxies,
}: AdminFixtureOptions = {}): Promise<AdminFixture> {
  const nameService = new FakeNameService({ tellsLate: true, graceMs });
  const brokers = new FakeBrokers();
  const members = new FakeMembers();
  brokers.states.set('broker-0', {});
  nameService.putSet({
    name: 'broker-0',
    epoch: 1,
    leader: 'broker-0:10911',
    leaderMember: 'broker-0/volume-1',
    members: [{ member: 'broker-0/volume-1', address: '' }],
    quorum: 1,
    stage: 'serving' as const,
    inSync: ['broker-0/volume-1'],
    writable: true,
    registeredMs: 1_700_000_000_000,
  });
  const directory = new Directory(nameService, clock);
  await directory.start();
  members.onStage = (name, stage) => {
    const set = directory.brokerSet(name);
    if (set) nameService.putSet({ ...set, stage, writable: stage === 'serving' });
  };
  const config = { insecure: false, signatureAgeMsMax: 900_000, signatureLocalTimes: true };
  const files = identities && { keys: identities.keyFile, admin: undefined };
  const gate = identities && gateOf({ config, files, identities, clock, log });
  for (const part of gate?.parts ?? []) await part.start();
  const server = new AdminServer({
    ...{ nameService, directory, brokers, peers: members, sets: members, clock, log, requestMsMax },
    audit: new AuditLog(clock, audit),
    identity: gate?.users &&
      identities && {
        ...gate.users,
        service: identities,
        clock,
        oidc,
        clusterName: 'DefaultCluster',
        printedAdmin: 'root',
      },
    ...{ host: '127.0.0.1', port: 0, hostNames: [], version: '0.1.0', consoleFolder, trustedProxies },
  });
  await server.start();
  const stop = async (): Promise<void> => {
    await server.stop();
    await directory.stop();
  };
  return { nameService, brokers, members, directory, server, url: `http://127.0.0.1:${server.port}`, stop };
}
