/**
 * Goal: the registry over gRPC is the registry; an instance that dies, hangs or loses answers costs a member nothing but a
 * moment. Method: name services before one store, behind lines that can be cut and can lose what goes one way.
 */
import { GrpcSetRegistry, type MemberClaim } from '@cometmq/client';
import { setRegistryContract, type OpenedRegistry } from '@cometmq/client/testing';
import { EtcdStore, MemoryStore, type MetadataStore } from '@cometmq/metadata';
import { CutLine, EtcdProcess, FaultyStore, withEtcd } from '@cometmq/metadata/testing';
import { memberId, type Epoch } from '@cometmq/model';
import { GrpcJsChannel } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { sleep, systemClock, type Component } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';
import { setRegistryDoor } from './set-registry-door.js';

const clock = systemClock;
const running: Component[] = [];
async function stopAll(): Promise<void> {
  for (const part of running.splice(0).reverse()) await part.stop();
}
afterEach(stopAll);

async function started<T extends Component>(part: T): Promise<T> {
  running.push(part);
  await part.start();
  return part;
}

interface Instance {
  readonly address: string;
  readonly line: CutLine;
  readonly service: NamesrvService;
}

async function instance(store: MetadataStore): Promise<Instance> {
  const service = await started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true }));
  const services = [setRegistryDoor(service.sets)];
  const server = await started(new GrpcJsServer({ host: '127.0.0.1', port: 0, clock, services, log: () => undefined }));
  const line = await CutLine.to(server.port);
  running.push({ name: 'line', start: () => Promise.resolve(), stop: () => line.end() });
  return { address: `127.0.0.1:${line.port}`, line, service };
}

async function registryOf(...instances: readonly Instance[]): Promise<GrpcSetRegistry> {
  const addresses = instances.map(({ address }) => address);
  return started(
    new GrpcSetRegistry({
      nameServers: { addresses },
      clock,
      connect: (address) => new GrpcJsChannel({ address, clock }),
    }),
  );
}

async function opened(store: MetadataStore, pass: (ms: number) => Promise<void>): Promise<OpenedRegistry> {
  const instances = [await instance(store), await instance(store)];
  const [registry, other] = [await registryOf(...instances), await registryOf(...instances.reverse())];
  return { registry, other, pass, close: stopAll };
}

setRegistryContract('gRPC, namesrv before a store in memory', async () => {
  const leases = new ManualClock();
  return opened(await started(new MemoryStore(leases)), async (ms) => leases.advance(ms));
});

withEtcd('with etcd', () => {
  let etcd: EtcdProcess;
  let roots = 0;
  beforeAll(async () => {
    etcd = await EtcdProcess.begin();
  });
  afterAll(() => etcd.end());
  setRegistryContract('gRPC, namesrv before etcd', async () => {
    const root = `/cometmq/sets-${(roots += 1)}/`;
    const store = await started(new EtcdStore({ endpoints: [etcd.endpoint], root, clock }));
    return opened(store, (ms) => sleep(clock, ms));
  });
});

const member = memberId('a/1');
const claim: MemberClaim = { brokerSet: 'broker-0', member, address: 'a:1', bootId: 'boot-1', leaseMs: 1_200 };
const wanted = { epoch: 1 as Epoch, revision: 0, rule: { members: [member], quorum: 1 }, reason: 'start' } as const;
const kept = (progress: number) => ({ epoch: 1 as Epoch, writable: true, progress, inSync: [member] });

describe('a member whose name service', () => {
  let store: FaultyStore;
  let instances: Instance[];
  let registry: GrpcSetRegistry;
  beforeEach(async () => {
    store = new FaultyStore(await started(new MemoryStore(clock)));
    instances = [await instance(store), await instance(store), await instance(store)];
    registry = await registryOf(...instances);
  });

  it('hangs asks the next one beside it, long before its lease is over', async () => {
    await registry.acquireLeadership(claim, wanted);
    for (const { line } of instances.slice(0, 2)) line.loseRequests = true;
    // A renewal that took its lease would be given up.
    expect((await registry.renewLeadership(claim, kept(1))).present).toMatchObject([{ leads: 1 }]);
    expect((await registry.renewLeadership(claim, kept(2))).present).toMatchObject([{ leads: 1 }]);
  });

  it('dies while it is asked asks the next one', async () => {
    await registry.acquireLeadership(claim, wanted);
    for (const { line } of instances.slice(0, 2)) {
      line.open = false;
      line.cut();
    }
    expect((await registry.renewLeadership(claim, kept(1))).present).toMatchObject([{ leads: 1 }]);
  });

  it('is of an older version, without the registry, asks the next one', async () => {
    const options = { host: '127.0.0.1', port: 0, clock, services: [], log: () => undefined };
    const older = await started(new GrpcJsServer(options));
    const addresses = [`127.0.0.1:${older.port}`, ...instances.map(({ address }) => address)];
    const connect = (address: string): GrpcJsChannel => new GrpcJsChannel({ address, clock });
    const mixed = await started(new GrpcSetRegistry({ nameServers: { addresses }, clock, connect }));
    expect(await mixed.acquireLeadership(claim, wanted)).toMatchObject({ leader: member });
  });

  it('has written and lost the answer is told what was written, once', async () => {
    const [first] = instances;
    if (first) first.line.loseAnswers = true;
    const state = await registry.acquireLeadership(claim, wanted);
    expect(state).toMatchObject({ epoch: 1, leader: member });
    store.loseNextAnswer = true;
    const change = {
      epoch: 1 as Epoch,
      rule: state as NonNullable<typeof state>,
      revision: state?.revision ?? 0,
      left: [],
    };
    const changed = await registry.changeMembers(claim, change);
    expect(changed).toMatchObject({ epoch: 1, leader: member });
    expect((await registry.readSet('broker-0')).state).toEqual(changed);
    expect(changed?.revision).toBeGreaterThan(state?.revision ?? Infinity);
  });

  it('carries what operators say', async () => {
    await registry.acquireLeadership(claim, wanted);
    const { sets } = (instances[0] as Instance).service;
    await registry.setStage('broker-0', 'draining');
    expect((await store.get('stages/broker-0'))?.value).toContain('draining');
    expect((await store.get('stages/broker-0'))?.value).not.toContain('groupless');
    await registry.setStage('broker-0', 'draining', true);
    expect((await store.get('stages/broker-0'))?.value).toContain('"groupless":true');
    await expect(registry.electBeyond('broker-1', member)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await registry.resignLeadership(claim, 1 as Epoch);
    const election = await registry.electBeyond('broker-0', member);
    expect(election).toMatchObject({ grade: 'nothingMissing', from: undefined });
    expect(await registry.readSet('broker-0')).toEqual(await sets.readSet('broker-0'));
  });

  it('comes late to what an operator has said does nothing of it any more', async () => {
    await registry.acquireLeadership(claim, wanted);
    const slow = new FaultyStore(store);
    const [first, second] = [await instance(slow), await instance(store)];
    const connect = (address: string): GrpcJsChannel => new GrpcJsChannel({ address, clock });
    const addresses = [first.address, second.address];
    const operator = await started(
      new GrpcSetRegistry({ nameServers: { addresses }, clock, connect, callMsMax: 2_000 }),
    );
    slow.holdReads();
    await operator.setStage('broker-0', 'gone');
    await operator.setStage('broker-0', 'serving');
    slow.letReads();
    // What comes behind it at the same instance is done after it.
    for (const name of ['behind', 'further']) {
      await first.service.createTopic({ name });
      await first.service.deleteTopic(name, { now: true });
    }
    expect(await store.get('stages/broker-0')).toBeUndefined();
  });

  it('is away altogether is told so before long, and goes on when it is back', async () => {
    await registry.acquireLeadership(claim, wanted);
    store.leave();
    await expect(registry.renewLeadership(claim, kept(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    store.comeBack();
    expect((await registry.renewLeadership(claim, kept(2))).state).toMatchObject({ epoch: 1 });
  });
});
