/**
 * Goal: nothing that happens to name services or to their store makes an election, or loses one. Method: name services behind
 * lines that can be cut, before real etcds that are killed, emptied and set back; and a store that is away for a minute of a
 * faked clock. A leader renews all along, as a member does.
 */
import { GrpcSetRegistry, standsStill, type KnownSet, type MemberClaim, type MetadataKnowledge } from '@cometmq/client';
import { EtcdStore, MemoryStore, type MetadataStore } from '@cometmq/metadata';
import { CutLine, EtcdProcess, FaultyStore, until, withEtcd } from '@cometmq/metadata/testing';
import { memberId, type Epoch, type LogPosition, type MetadataVersion, type SetState } from '@cometmq/model';
import { GrpcJsChannel } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { MqError, sleep, systemClock, type Clock, type Component } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';
import { setRegistryDoor } from './set-registry-door.js';

const running: Component[] = [];
afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop();
});

async function started<T extends Component>(part: T): Promise<T> {
  running.push(part);
  await part.start();
  return part;
}

const [a, b] = [memberId('a/1'), memberId('b/1')];
const claimOf = (member: typeof a, log?: MemberClaim['log']): MemberClaim => ({
  ...{ brokerSet: 'broker-0', member, address: `${member[0]}:1`, bootId: `boot-${member[0]}`, leaseMs: 2_000 },
  ...(log && { log }),
});
const rule = { members: [a, b], quorum: 2 };

async function serviceOn(
  store: MetadataStore,
  clock: Clock,
  onReplaced?: (error: MqError) => void,
): Promise<NamesrvService> {
  return started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true, onReplaced }));
}

type Registry = Pick<
  GrpcSetRegistry,
  'acquireLeadership' | 'announceMember' | 'changeMembers' | 'renewLeadership' | 'readSet'
>;

/** `a` leads both, in epoch 1. */
async function led(registry: Registry): Promise<SetState> {
  const alone = { members: [a], quorum: 1 };
  const wanted = { epoch: 1 as Epoch, revision: 0, rule: alone, reason: 'start' } as const;
  const made = (await registry.acquireLeadership(claimOf(a), wanted)) as SetState;
  await registry.announceMember(claimOf(b));
  const joined = [{ member: b, bootId: 'boot-b' }];
  const change = { epoch: made.epoch, revision: made.revision, rule, left: [], joined };
  return (await registry.changeMembers(claimOf(a), change)) as SetState;
}

const kept = (epoch: number, progress: number) => ({ epoch: epoch as Epoch, writable: true, progress, inSync: [a, b] });

const code = async (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'no error',
    (caught: unknown) => MqError.from(caught).code,
  );

describe('a store that is away for a minute', () => {
  it('ends no lead: the leader is shown all along, and goes on in its epoch', async () => {
    const clock = new ManualClock();
    const store = await started(new MemoryStore(clock));
    const faulty = new FaultyStore(store);
    const { sets } = await serviceOn(faulty, clock);
    const state = await led(sets);
    faulty.leave();
    for (let ms = 0; ms < 60_000; ms += 500) {
      clock.advance(500);
      expect(await code(sets.renewLeadership(claimOf(a), kept(1, ms + 1)))).toBe('UNAVAILABLE');
    }
    const wanted = { epoch: 2 as Epoch, revision: state.revision, rule, reason: 'silent' } as const;
    expect(await code(sets.acquireLeadership(claimOf(b), wanted))).toBe('UNAVAILABLE');
    faulty.comeBack();
    expect((await sets.renewLeadership(claimOf(a), kept(1, 60_001))).state).toEqual(state);
    expect(await code(sets.acquireLeadership(claimOf(b), wanted))).toBe('CONFLICT');
  });
});

withEtcd('three name services before etcd', () => {
  it('may hang or die one after the other: the leader never seems to be gone', async () => {
    const etcd = await EtcdProcess.begin();
    running.push({ name: 'etcd', start: () => Promise.resolve(), stop: () => etcd.end() });
    const lines: CutLine[] = [];
    for (let count = 0; count < 3; count += 1) {
      const store = await started(
        new EtcdStore({ endpoints: [etcd.endpoint], root: '/cometmq/s/', clock: systemClock }),
      );
      const services = [setRegistryDoor((await serviceOn(store, systemClock)).sets)];
      const options = { host: '127.0.0.1', port: 0, clock: systemClock, services, log: () => undefined };
      const line = await CutLine.to((await started(new GrpcJsServer(options))).port);
      running.push({ name: 'line', start: () => Promise.resolve(), stop: () => line.end() });
      lines.push(line);
    }
    const addresses = lines.map(({ port }) => `127.0.0.1:${port}`);
    const connect = (address: string) => new GrpcJsChannel({ address, clock: systemClock });
    const registry = await started(new GrpcSetRegistry({ nameServers: { addresses }, clock: systemClock, connect }));
    const rival = await started(new GrpcSetRegistry({ nameServers: { addresses }, clock: systemClock, connect }));
    const state = await led(registry);

    let progress = 0;
    let isOver = false;
    const outcomes = new Set<string>();
    const renewing = (async () => {
      while (!isOver) {
        progress += 1;
        outcomes.add(await code(registry.renewLeadership(claimOf(a), kept(1, progress))));
        await sleep(systemClock, 200);
      }
    })();
    const wanted = { epoch: 2 as Epoch, revision: state.revision, rule, reason: 'silent' } as const;
    for (const [at, line] of lines.entries()) {
      if (at === 1) line.loseRequests = true;
      else {
        line.open = false;
        line.cut();
      }
      // So long that a lease that was not renewed would have ended.
      for (let tries = 0; tries < 6; tries += 1) {
        expect(await code(rival.acquireLeadership(claimOf(b), wanted))).toBe('CONFLICT');
        await sleep(systemClock, 500);
      }
      line.loseRequests = false;
      line.open = true;
    }
    isOver = true;
    await renewing;
    expect([...outcomes]).toEqual(['no error']);
    expect((await registry.readSet('broker-0')).state).toEqual(state);
  }, 60_000);
});

withEtcd('an etcd under a running set that was', () => {
  it.each(['restored from a backup', 'emptied'])(
    '%s elects nobody, says so, and goes on by one verb',
    async (what) => {
      const etcd = await EtcdProcess.begin();
      running.push({ name: 'etcd', start: () => Promise.resolve(), stop: () => etcd.end() });
      const line = await CutLine.to(etcd.clientPort);
      running.push({ name: 'line', start: () => Promise.resolve(), stop: () => line.end() });
      const storeOn = (): Promise<EtcdStore> => {
        const endpoints = [`http://127.0.0.1:${line.port}`];
        return started(new EtcdStore({ endpoints, root: '/cometmq/s/', clock: systemClock, patienceMs: 1_000 }));
      };
      const replaced: MqError[] = [];
      const before = await serviceOn(await storeOn(), systemClock, (error) => replaced.push(error));
      const first = await led(before.sets);
      const topic = await before.ensureTopic('orders');

      // A backup of now; then the lead moves on.
      await etcd.kill();
      const backup = await etcd.copy();
      await etcd.start();
      const wanted = { epoch: 2 as Epoch, revision: first.revision, rule, reason: 'closed' } as const;
      let second: SetState | undefined;
      await until('b leads', async () => {
        second = await before.sets.acquireLeadership(claimOf(b), wanted).catch(() => undefined);
        return second !== undefined;
      });
      // So far that the backup does not come as far by the ends of its leases alone.
      for (let count = 0; count < 10; count += 1) await before.ensureTopic(`later-${count}`);
      const { storeId, generation } = await before.sets.readSet('broker-0');
      const known: KnownSet = { storeId, generation, revision: second?.revision ?? 0, epoch: 2 as Epoch };
      const version = await new Promise<MetadataVersion>((resolve) => {
        const stop = before.watch((update) => {
          if (update.kind !== 'snapshot') return;
          stop();
          resolve({ clusterId: update.clusterId, generation: update.generation, revision: update.revision });
        });
      });
      const log = { epoch: 2 as Epoch, end: 100 as LogPosition, metadata: version };

      await etcd.kill();
      const next = what === 'emptied' ? await EtcdProcess.begin() : backup;
      running.push({ name: 'the other etcd', start: () => Promise.resolve(), stop: () => next.end() });
      if (what !== 'emptied') await next.start();
      line.targetPort = next.clientPort;
      line.cut();
      await until('it is known', () => replaced.length > 0);
      expect(await code(before.sets.renewLeadership(claimOf(b, log), kept(2, 1)))).toBe('UNAVAILABLE');

      // The name service starts anew; nobody is elected, and the leader is not deposed.
      const now = await serviceOn(await storeOn(), systemClock);
      const reading = await now.sets.readSet('broker-0');
      expect(standsStill(known, reading)).toMatch(what === 'emptied' ? 'does not know' : 'older state');
      for (const member of [a, b]) {
        const revision = reading.state?.revision ?? 0;
        const stand = { ...wanted, epoch: 9 as Epoch, revision };
        expect(await code(now.sets.acquireLeadership(claimOf(member, log), stand))).toBe('METADATA_MISMATCH');
        expect(await code(now.sets.renewLeadership(claimOf(member, log), kept(2, 1)))).toBe('METADATA_MISMATCH');
        expect(await code(now.sets.announceMember(claimOf(member, log)))).toBe('METADATA_MISMATCH');
      }
      expect((await now.sets.readSet('broker-0')).state).toEqual(reading.state);

      await now.allowAdoption();
      const state = second as SetState;
      const ids = { topicIdMax: topic.id, groupIdMax: 0, deletedTopics: [], deletedGroups: [] };
      const said = (member: typeof a): MetadataKnowledge => ({
        ...{ claim: claimOf(member, log), set: { state, promised: { epoch: 2 as Epoch, to: b } } },
        ...{ ...ids, topics: [topic], groups: [], insist: false, last: true },
      });
      expect(await code(now.adoptMetadata(said(a)))).toBe('METADATA_MISMATCH'); // b may know better.
      await now.adoptMetadata(said(b));
      const mended = await now.sets.readSet('broker-0');
      expect(standsStill(known, mended)).toBeUndefined();
      expect(mended.state).toMatchObject({ epoch: 3, leader: b, ...rule });
      const again = { epoch: 4 as Epoch, revision: mended.state?.revision ?? 0, rule, reason: 'start' } as const;
      expect(await now.sets.acquireLeadership(claimOf(b, log), again)).toMatchObject({ epoch: 4, leader: b });
    },
    60_000,
  );
});
