import {
  Directory,
  GrpcNameService,
  GrpcSetRegistry,
  localAddress,
  type DirectoryUpdate,
  type MemberClaim,
  type NameService,
} from '@cometmq/client';
import { nameServiceContract } from '@cometmq/client/testing';
import { EtcdStore, MemoryStore, type MetadataStore } from '@cometmq/metadata';
import { CutLine, EtcdProcess, FaultyStore, until, withEtcd } from '@cometmq/metadata/testing';
import { epoch, logPosition, memberId, MessageType } from '@cometmq/model';
import { GrpcJsChannel, type CallContext, type MessageSink } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { internal } from '@cometmq/proto';
import { MqError, sleep, systemClock, type Component } from '@cometmq/shared';

import { namingService } from './naming-service.js';
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
  /** As in SIGTERM. */
  stop(): Promise<void>;
}

async function instance(store: MetadataStore, nameService?: NameService): Promise<Instance> {
  const service =
    nameService ??
    (await started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true })));
  const door = namingService(service);
  const log = (message: string, cause: unknown): void => {
    throw new Error(message, { cause });
  };
  const services = [door, ...(service instanceof NamesrvService ? [setRegistryDoor(service.sets)] : [])];
  // Watchers that hold up its stop would do so for good.
  const stopMs = 600_000;
  const server = await started(new GrpcJsServer({ host: '127.0.0.1', port: 0, clock, services, log, stopMs }));
  server.onStopping(() => door.close());
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop() };
}

const connect = (address: string): GrpcJsChannel => new GrpcJsChannel({ address, clock });
/** So that nothing here waits for seconds; long enough for an instance that answers. */
const patience = { attemptMsMax: 1_000, pauseMsMax: 50, firstUpdateMsMax: 1_000 };

async function nameService(...addresses: string[]): Promise<GrpcNameService> {
  return started(new GrpcNameService({ nameServers: { addresses }, clock, connect, patience, callMsMax: 60_000 }));
}

async function memory(): Promise<MemoryStore> {
  return started(new MemoryStore(clock));
}

function follow(source: NameService): { readonly updates: DirectoryUpdate[]; kinds(): string } {
  const updates: DirectoryUpdate[] = [];
  source.watch((update) => updates.push(update));
  return { updates, kinds: () => updates.map((update) => update.kind).join(' ') };
}

const claim: MemberClaim = {
  brokerSet: 'b',
  member: memberId('b/1'),
  address: localAddress,
  bootId: 'boot',
  leaseMs: 3_000,
};

const keptTo = async (deletionGraceMs: number): Promise<NamesrvService> => {
  const given = { store: await memory(), clock, autoCreateTopics: true, autoCreateGroups: true, deletionGraceMs };
  return started(new NamesrvService(given));
};
nameServiceContract('namesrv before a store in memory', async (graceMs) => {
  return { nameService: await keptTo(graceMs), close: stopAll };
});
nameServiceContract('gRPC, namesrv before a store in memory', async (graceMs) => {
  const near = await keptTo(graceMs);
  const { address } = await instance(await memory(), near);
  // An answer waits for the watch however busy the machine is.
  const given = { nameServers: { addresses: [address] }, clock, connect, callMsMax: 60_000 };
  const patient = { firstUpdateMsMax: 60_000, seenMsMax: 60_000 };
  return { nameService: await started(new GrpcNameService({ ...given, patience: patient })), close: stopAll };
});

// Goal: what a caller has given up, and asked another instance for, is not done once more when the first one gets to it: it may
// have been undone since. Method: two instances, of which the first one hears its store when the caller is long through.
describe('an instance that comes to a call late', () => {
  const make = (names: NameService): Promise<unknown> => names.createTopic({ name: 't', writeQueues: 2 });
  const remove = (names: NameService): Promise<unknown> => names.deleteTopic('t', { now: true });
  const change = (writeQueues: number) => (names: NameService) => names.updateTopic('t', { writeQueues });
  it.each([
    { what: 'a topic', before: [], late: make, then: [remove], left: undefined },
    { what: 'a deletion', before: [make], late: remove, then: [make], left: 2 },
    { what: 'a change', before: [make], late: change(3), then: [change(4)], left: 4 },
  ])('makes nothing of it: $what', async ({ before, late, then, left }) => {
    const store = await memory();
    const slow = new FaultyStore(store);
    const [first, second] = [await instance(slow), await instance(store)];
    const names = await nameService(first.address, second.address);
    for (const act of before) await act(names);
    slow.holdReads();
    for (const act of [late, ...then]) await act(names);
    slow.letReads();
    // What comes behind it at the same instance is done after it.
    const behind = await nameService(first.address);
    await behind.createTopic({ name: 'behind' });
    await behind.updateTopic('behind', { permission: 'read' });
    await behind.deleteTopic('behind', { now: true });
    const found = await store.get('topics/t');
    expect(found && (JSON.parse(found.value) as { writeQueues: number }).writeQueues).toBe(left);
  });
});

describe('NameService over gRPC', () => {
  it('says the same as the service itself', async () => {
    const store = await memory();
    const service = await started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true }));
    const remote = await nameService((await instance(store, service)).address);
    const [near, far] = [follow(service), follow(remote)];
    await until('the first snapshots', () => near.updates.length > 0 && far.updates.length > 0);

    const draft = {
      name: 't',
      type: MessageType.fifo,
      writeQueues: 2,
      retentionMs: 60_000,
      permission: 'write',
    } as const;
    const topic = await remote.createTopic({ ...draft, liteExpirationMs: 3_600_000 });
    expect(topic.liteExpirationMs).toBe(3_600_000);
    expect(topic).toEqual(await service.ensureTopic('t'));
    expect(await remote.updateTopic('t', { writeQueues: 3 })).toEqual(await service.ensureTopic('t'));
    expect((await remote.updateTopic('t', { retentionMs: 0 })).retentionMs).toBeUndefined();
    expect(await remote.ensureTopic('u')).toEqual(await service.ensureTopic('u'));
    expect(await remote.fixTopicType('u', MessageType.delay)).toMatchObject({
      type: MessageType.delay,
      typeFixed: true,
    });
    expect(await remote.ensureInnerTopic('%DLQ%g')).toEqual(await service.ensureTopic('%DLQ%g'));
    const retryPolicy = { kind: 'exponential', initialMs: 5, maxMs: 100, multiplier: 1.5 } as const;
    const start = { at: 'time', timeMs: 1_700_000_000_000 } as const;
    expect(await remote.createGroup({ name: 'g', fifo: true, retryPolicy, start })).toEqual(
      await service.ensureGroup('g'),
    );
    expect(await remote.updateGroup('g', { attemptsMax: 9 })).toEqual(await service.ensureGroup('g'));
    expect(await remote.ensureGroup('h')).toEqual(await service.ensureGroup('h'));
    const lite = { topic: 'parent', exclusive: true, clientQuota: 7 };
    expect(await remote.updateGroup('h', { lite, pausedUntilMs: 2 ** 50, priorityFactor: 30 })).toMatchObject({
      lite,
      pausedUntilMs: 2 ** 50,
      priorityFactor: 30,
    });
    const rule = { members: [claim.member], quorum: 1 };
    await service.sets.acquireLeadership(claim, { epoch: epoch(1), rule, revision: 0, reason: 'start' });
    await service.sets.resignLeadership(claim, epoch(1));
    expect(await remote.forgetMembers('b')).toMatchObject({ name: 'b', epoch: 1, inSync: [] });
    await remote.deleteTopic('t');
    await remote.deleteGroup('g');

    expect(far.updates).toEqual(near.updates);
    expect(far.updates).toHaveLength(1 + 15);
    const whole = follow(remote);
    const wholeNear = follow(service);
    await until('another snapshot', () => whole.updates.length > 0);
    expect(whole.updates).toEqual(wholeNear.updates);
  });

  it('carries errors with their code and their words', async () => {
    const remote = await nameService((await instance(await memory())).address);
    const cases: [Promise<unknown>, string, string][] = [
      [remote.createTopic({ name: 'no good' }), 'ILLEGAL_TOPIC', 'letters'],
      [remote.createTopic({ name: 't', writeQueues: -1 }), 'BAD_REQUEST', '1 to 1024'],
      [remote.createTopic({ name: 't', writeQueues: 1e300 }), 'BAD_REQUEST', '1 to 1024'],
      [remote.createGroup({ name: 'g', attemptsMax: NaN }), 'BAD_REQUEST', 'whole number'],
      [remote.updateTopic('none', {}), 'TOPIC_NOT_FOUND', 'none'],
      [remote.forgetMembers('b'), 'NOT_FOUND', 'no broker set b'],
    ];
    for (const [asked, code, word] of cases) {
      const error: unknown = await asked.catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(MqError);
      expect(error).toMatchObject({ code });
      expect((error as MqError).reason).toContain(word);
    }
  });

  it('returns when this process has been told of the change', async () => {
    const store = await memory();
    const [one, other] = [await instance(store), await instance(store)];
    const maker = await nameService(one.address);
    // Calls go to one instance; the directory of the same process watches there too.
    const directory = await started(new Directory(maker, clock));
    const far = await nameService(other.address);
    for (let i = 0; i < 30; i += 1) {
      const topic = await maker.ensureTopic(`t${i}`);
      expect(directory.topicById(topic.id)?.name).toBe(`t${i}`);
      expect((await far.ensureTopic(`t${i}`)).id).toBe(topic.id);
    }
  });

  it('waits for its own watch, even where another instance has made the change', async () => {
    const store = await memory();
    const faulty = new FaultyStore(store);
    const [cut, good] = [await instance(faulty), await instance(store)];
    const remote = await nameService(cut.address, good.address);
    const directory = await started(new Directory(remote, clock));
    faulty.leave();
    let returned = false;
    const made = remote.ensureTopic('t').finally(() => (returned = true));
    await until('the other has made it', async () => (await store.get('topics/t')) !== undefined);
    await sleep(clock, 200);
    expect(returned).toBe(false);
    faulty.comeBack();
    await made;
    expect(directory.topic('t')).toBeDefined();
  });

  it('carries a directory of thousands in parts', async () => {
    const store = await memory();
    const topic = {
      id: 1,
      type: 1,
      writeQueues: 8,
      readQueues: 8,
      permission: 'readWrite',
      typeFixed: true,
      layout: 1,
      createdMs: 5,
    };
    const one = await instance(store);
    for (let i = 0; i < 3_000; i += 1) {
      const name = `t${i}-${'x'.repeat(100)}`;
      void store.commit({ compare: [], puts: [{ key: `topics/${name}`, value: JSON.stringify({ name, ...topic }) }] });
    }
    const remote = await nameService(one.address);
    const heard = follow(remote);
    await until('the whole', () => heard.updates.length === 1);
    expect(heard.updates[0]?.kind === 'snapshot' && heard.updates[0].topics.length).toBe(3_000);
  });

  it('moves on to the next instance when one stops, with the whole and all that follows', async () => {
    const store = await memory();
    const [one, other] = [await instance(store), await instance(store)];
    const remote = await nameService(one.address, other.address);
    const directory = await started(new Directory(remote, clock));
    const heard = follow(remote);
    await remote.ensureTopic('a');
    await one.stop(); // Watchers don't hold it up.
    await remote.ensureTopic('b');
    await until('the whole again', () => heard.updates.filter((update) => update.kind === 'snapshot').length === 2);
    const third = await remote.ensureTopic('c');
    expect(directory.topicById(third.id)?.name).toBe('c');
    expect(directory.topic('a')?.id).toBe(1);
    expect(directory.topic('b')?.id).toBe(2);
  });

  it('moves on when one is cut off without a word', async () => {
    const store = await memory();
    const [one, other] = [await instance(store), await instance(store)];
    const line = await CutLine.to(Number(one.address.split(':')[1]));
    const remote = await nameService(`127.0.0.1:${line.port}`, other.address);
    const heard = follow(remote);
    await until('the whole', () => heard.updates.length === 1);
    await remote.ensureTopic('a');
    line.loseRequests = line.loseAnswers = true;
    expect((await remote.ensureTopic('b')).id).toBe(2);
    await until('the watch has moved too', () => heard.kinds() === 'snapshot topic snapshot');
    expect(heard.updates[2]).toMatchObject({ topics: [{ name: 'a' }, { name: 'b' }] });
    await line.end();
  });

  it('starts with a dead address in its list', async () => {
    const { address } = await instance(await memory());
    const remote = await nameService('127.0.0.1:1', address);
    const directory = await started(new Directory(remote, clock));
    expect((await remote.ensureTopic('a')).id).toBe(1);
    expect(directory.topic('a')).toBeDefined();
  });

  it('says who does not answer when none does', async () => {
    const remote = await started(
      new GrpcNameService({
        nameServers: { addresses: ['127.0.0.1:1', '127.0.0.1:2'] },
        ...{ clock, connect },
        callMsMax: 500,
      }),
    );
    const error: unknown = await remote.ensureTopic('a').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
    expect((error as MqError).reason).toContain('127.0.0.1:1, 127.0.0.1:2');
  });

  it('is told nothing by instances of another cluster, until that brings the metadata back', async () => {
    const old = await instance(await memory());
    const service = await started(
      new NamesrvService({ store: await memory(), clock, autoCreateTopics: true, autoCreateGroups: true }),
    );
    const refused: string[] = [];
    const remote = await started(
      new GrpcNameService({
        nameServers: { addresses: [old.address, (await instance(await memory(), service)).address] },
        ...{ clock, connect, patience },
        onRefused: (reason) => refused.push(reason),
      }),
    );
    const directory = await started(new Directory(remote, clock));
    const topic = await remote.ensureTopic('a');
    await old.stop();
    const heard: DirectoryUpdate[] = [];
    directory.onUpdate((update) => heard.push(update));
    await until('it is refused', () => refused.length > 0, 20_000);
    expect(refused[0]).toContain(`cluster ${directory.clusterId}`);
    expect([heard.length, directory.topic('a')]).toEqual([0, topic]);
    const { clusterId, version } = directory;
    await service.adoptMetadata({
      claim: { ...claim, log: { epoch: epoch(1), end: logPosition(100), metadata: version } },
      topics: [topic],
      groups: [],
      topicIdMax: topic.id,
      groupIdMax: 0,
      deletedTopics: [],
      deletedGroups: [],
      insist: true,
      last: true,
    });
    await until('it is believed', () => heard.length > 0);
    expect([directory.clusterId, directory.version.generation, directory.topic('a')]).toEqual([clusterId, 2, topic]);
  });

  it('is not taken back in time by an instance that has lost its store', async () => {
    const store = await memory();
    const faulty = new FaultyStore(store);
    const [good, cut] = [await instance(store), await instance(faulty)];
    const remote = await nameService(good.address, cut.address);
    const directory = await started(new Directory(remote, clock));
    faulty.leave();
    await remote.ensureTopic('a');
    await good.stop();
    const seen: boolean[] = [];
    directory.onUpdate(() => seen.push(directory.topic('a') !== undefined));
    const back = await instanceAt(good.address, store);
    await until('it is back', () => seen.length > 0);
    expect(seen).not.toContain(false);
    faulty.comeBack();
    await back.stop();
  });

  async function instanceAt(address: string, store: MetadataStore): Promise<Component> {
    const service = await started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true }));
    const door = namingService(service);
    const port = Number(address.split(':')[1]);
    const server = await started(
      new GrpcJsServer({ host: '127.0.0.1', port, clock, services: [door], log: () => undefined }),
    );
    server.onStopping(() => door.close());
    return server;
  }

  it('gives up quietly when stopped', async () => {
    const { address } = await instance(await memory());
    const remote = await nameService(address);
    const heard = follow(remote);
    await until('the whole', () => heard.updates.length === 1);
    await remote.stop();
    await expect(remote.ensureTopic('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(heard.updates).toHaveLength(1);
  });
});

// Goal: a watcher that reads slowly costs bounded memory, and in the end knows all. Method: a sink that lets go by hand.
describe('a slow watcher', () => {
  class SlowSink implements MessageSink {
    readonly frames: internal.DirectoryUpdate[] = [];
    open = true;
    full = false;
    drain: () => void = () => undefined;
    write(message: Uint8Array | readonly Uint8Array[]): boolean {
      this.frames.push(internal.DirectoryUpdate.decode(message as Uint8Array));
      return !this.full;
    }
    onDrain(act: () => void): void {
      this.drain = act;
    }
    onArrival(): void {
      // Nobody asks.
    }
    end(): void {
      this.open = false;
    }
    fail(): void {
      this.open = false;
    }
  }

  async function slow(): Promise<{ sink: SlowSink; service: NamesrvService; cancel: () => void }> {
    const store = await memory();
    const service = await started(new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true }));
    const method = namingService(service, 100).methods['Watch'];
    if (method?.kind !== 'serverStream') throw new Error('Watch is a stream');
    const sink = new SlowSink();
    let cancel: () => void = () => undefined;
    const call: Partial<CallContext> = { onCancel: (act) => (cancel = act) };
    method.handler(new Uint8Array(), call as CallContext, sink);
    await until('the whole', () => sink.frames.length > 0);
    return { sink, service, cancel: () => cancel() };
  }

  it('is sent nothing while it is full, then all of it in order', async () => {
    const { sink, service } = await slow();
    sink.full = true;
    await service.ensureTopic('t0');
    expect(sink.frames).toHaveLength(2); // The one that found it full was taken all the same.
    for (let i = 1; i < 50; i += 1) await service.ensureTopic(`t${i}`);
    expect(sink.frames).toHaveLength(2);
    sink.full = false;
    sink.drain();
    const names = sink.frames.map(({ update }) => (update?.$case === 'topic' ? update.value.name : update?.$case));
    expect(names).toEqual(['snapshot', ...Array.from({ length: 50 }, (_, i) => `t${i}`)]);
  });

  it('is told the whole when it was full for too long', async () => {
    const { sink, service } = await slow();
    await service.ensureTopic('t');
    sink.full = true;
    for (let i = 0; i < 110; i += 1) await service.ensureGroup(`g${i}`);
    const before = sink.frames.length;
    expect(before).toBeLessThan(5);
    sink.full = false;
    sink.drain();
    await until('the whole', () => sink.frames.at(-1)?.update?.$case === 'snapshot');
    const parts = sink.frames
      .slice(before)
      .map(({ update }) => (update?.$case === 'snapshot' ? update.value : undefined));
    expect(parts.flatMap((part) => part?.groups ?? [])).toHaveLength(110);
    expect(parts.at(-1)?.last).toBe(true);
  });

  it('leaves nothing behind when it goes', async () => {
    const { sink, service, cancel } = await slow();
    cancel();
    const before = sink.frames.length;
    await service.ensureTopic('t');
    sink.drain();
    expect(sink.frames).toHaveLength(before);
  });
});

withEtcd('two instances over etcd', () => {
  it('go on through a restart of etcd, with the lead of a broker set kept', async () => {
    const etcd = await EtcdProcess.begin();
    running.push({ name: 'etcd', start: () => Promise.resolve(), stop: () => etcd.end() });
    const store = (): Promise<EtcdStore> =>
      started(new EtcdStore({ endpoints: [etcd.endpoint], root: '/cometmq/test/', clock, patienceMs: 1_000 }));
    const [one, other] = [await instance(await store()), await instance(await store())];
    const remote = await nameService(one.address, other.address);
    const directory = await started(new Directory(remote, clock));
    const addresses = [one.address, other.address];
    const registry = await started(new GrpcSetRegistry({ nameServers: { addresses }, clock, connect }));
    const at: MemberClaim = { ...claim, address: 'x:1' };
    const rule = { members: [at.member], quorum: 1 };
    await registry.acquireLeadership(at, { epoch: epoch(1), rule, revision: 0, reason: 'start' });
    let progress = 0;
    const renew = () =>
      registry.renewLeadership(at, {
        epoch: epoch(1),
        writable: true,
        progress: (progress += 1),
        inSync: rule.members,
      });
    const leads = () => directory.brokerSet('b')?.leader === 'x:1';
    await remote.ensureTopic('a');

    await etcd.kill();
    expect(directory.topic('a')).toBeDefined();
    expect(directory.brokerSet('b')).toMatchObject({ leader: 'x:1', epoch: 1 });
    await expect(renew()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(directory.brokerSet('b')).toMatchObject({ leader: 'x:1', epoch: 1 });

    await etcd.start();
    await until('the lead is kept again', () =>
      renew().then(
        () => true,
        () => false,
      ),
    );
    await until('the leader is shown', leads);
    const made = await remote.ensureTopic('b');
    expect(made.id).toBe(2);
    expect(directory.topic('b')).toEqual(made);
    expect(directory.brokerSet('b')).toMatchObject({ leader: 'x:1', epoch: 1 });

    await one.stop();
    await renew();
    await until('the silent leader is shown as gone', () => !leads());
    await renew();
    await until('the leader is shown again', leads);
  });
});
