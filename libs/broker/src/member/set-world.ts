import {
  Directory,
  type Delivered,
  type MemberStatus,
  type ReceiveCall,
  type SendResult,
  type SetRegistry,
} from '@cometmq/client';
import { FakeNameService, FakeNetwork } from '@cometmq/client/testing';
import {
  encodeEnvelope,
  everything,
  hashBytes,
  KiB,
  queueId,
  type ConsumerGroup,
  type EnvelopeDraft,
  type Receipt,
  type Topic,
} from '@cometmq/model';
import { assert, MqError, sleep, type Clock, type Prng } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';
import type { Disk } from '@cometmq/store';
import { MemoryDisk } from '@cometmq/store/testing';
import { silentLogger, type Logger } from '@cometmq/telemetry';

import type { BrokerOptions } from '../broker-options.js';
import { BrokerService } from '../broker-service.js';
import { settle } from '../broker-world.js';
import { FakeSetRegistry } from '../fake-set-registry.js';
import { memoryCheckpoints } from '../testing.js';
import { MemberDoor } from './member-door.js';

export const brokerSet = 'broker-0';

/** How long what is waited for may take, of the world's time. */
const patienceMs = 30_000;
/** Well below what members wait for one another. */
const leapStepMs = 248;

/** A broker set on one faked clock, a faked network, disks in memory and a registry in memory: time is in our hands. */
export class SetWorld {
  readonly clock: ManualClock;
  readonly network: FakeNetwork;
  readonly nameService: FakeNameService;
  readonly registry: FakeSetRegistry;
  readonly name: string;
  readonly members: SetMemberWorld[];
  /** Acknowledged by a consumer, and answered OK. */
  private readonly done = new Set<string>();
  topic!: Topic;
  group!: ConsumerGroup;

  constructor(
    count: number,
    readonly options: Partial<BrokerOptions> = {},
    /** Checkpoints are files, as snapshots want it; else they are kept in memory, which is quicker. */
    readonly inFiles = false,
    /** Another set of the same cluster; left out: it is the only one. */
    beside?: SetWorld,
  ) {
    this.clock = beside?.clock ?? new ManualClock();
    this.network = beside?.network ?? new FakeNetwork(this.clock);
    this.nameService = beside?.nameService ?? new FakeNameService({ queues: 1, wallMs: 0 });
    this.registry = new FakeSetRegistry(this.clock, this.nameService);
    this.name = options.brokerName ?? brokerSet;
    const place = beside ? `${this.name}-place` : 'place';
    this.members = Array.from({ length: count }, (_, i) => new SetMemberWorld(this, `${place}-${i}`));
    if (!beside) return;
    this.topic = beside.topic;
    this.group = beside.group;
  }

  /** All of them, until each has what the set has. */
  async start(): Promise<this> {
    this.topic ??= await this.nameService.createTopic({ name: 'orders' });
    this.group ??= await this.nameService.createGroup({ name: 'readers', attemptsMax: 100 });
    for (const member of this.members) await member.start();
    await this.until(() => this.isWhole, 'every member is in the set and in sync');
    return this;
  }

  async stop(): Promise<void> {
    // In good order, one after the other: the last one has nobody to hand over to.
    for (const member of this.members) if (member.isUp) await this.during(member.stop());
  }

  /** Lets time pass until it is so. @throws Error when that takes too long */
  async until(isSo: () => boolean, what: string, msMax = patienceMs): Promise<number> {
    const beganMs = this.clock.monotonicMs();
    while (!isSo()) {
      if (this.clock.monotonicMs() - beganMs > msMax) {
        const says = this.members.map((member) => `${member.place}: ${member.says()}`).join('\n  ');
        throw new Error(`not within ${msMax} ms: ${what}\n  ${says}`);
      }
      await this.turn();
    }
    return this.clock.monotonicMs() - beganMs;
  }

  /** Lets time pass until the promise is settled. */
  async during<T>(promise: Promise<T>, msMax = patienceMs): Promise<T> {
    let over = false;
    const settled = promise.finally(() => (over = true));
    settled.catch(() => undefined); // Told below.
    await this.until(() => over, 'what was begun is over', msMax);
    return settled;
  }

  async pass(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) await this.turn();
  }

  /** The same for long times, in larger steps: nothing that takes milliseconds is to be seen meanwhile. */
  async leap(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) {
      await this.turn();
      this.clock.advance(leapStepMs);
    }
  }

  /** A few milliseconds, and all that follows from them. */
  private async turn(): Promise<void> {
    for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve));
    this.clock.advance(2);
  }

  // ---- who is who

  get up(): SetMemberWorld[] {
    return this.members.filter((member) => member.isUp);
  }
  /** Who leads, and has heard of no later term. */
  get leaders(): SetMemberWorld[] {
    return this.up.filter(({ broker }) => broker.leads);
  }
  get leader(): SetMemberWorld {
    const [one] = [...this.leaders].sort((a, b) => b.epoch - a.epoch);
    if (!one) throw new Error('nobody leads');
    return one;
  }
  get followers(): SetMemberWorld[] {
    const { leader } = this;
    return this.up.filter((member) => member !== leader);
  }
  get isWhole(): boolean {
    const { leaders, members } = this;
    const leading = leaders[0]?.broker.member.leading;
    if (leaders.length !== 1 || !leading || leading.members.members.length !== members.length) return false;
    const ends = members.map((member) => (member.isUp ? member.broker.store.commitEnd : -1));
    return ends.every((end) => end === ends[0]) && leading.members.members.every((one) => leading.isInSync(one));
  }

  // ---- a client that tries again where it is told to

  /** Sends, to whoever leads, until it is stored. Answers how long that took. */
  async send(id: string, draft: Partial<EnvelopeDraft> = {}, topic = this.topic, queue = 0): Promise<number> {
    const beganMs = this.clock.monotonicMs();
    await this.trying((broker) => settle<SendResult>((done) => broker.send(sendCall(topic, queue, id, draft), done)));
    return this.clock.monotonicMs() - beganMs;
  }

  /** Sends to whoever leads, and does not wait for what becomes of it. */
  begin(id: string): void {
    this.leader.broker.send(sendCall(this.topic, 0, id, {}), () => undefined);
  }

  /** Many at once; each is stored once this resolves. */
  async sendMany(ids: readonly string[]): Promise<void> {
    const { broker } = this.leader;
    const sent = ids.map((id) => settle<SendResult>((done) => broker.send(sendCall(this.topic, 0, id, {}), done)));
    await this.during(Promise.all(sent));
  }

  poll(given: Partial<ReceiveCall> = {}): Promise<readonly Delivered[]> {
    return this.trying((broker) =>
      settle<{ messages: readonly Delivered[] }>((done) =>
        broker.receive(receiveCall(this.group, this.topic, given), done),
      ),
    ).then(({ messages }) => messages);
  }

  /** A long poll of this member, which is asked once. */
  wait({ broker }: SetMemberWorld, given: Partial<ReceiveCall>): Promise<unknown> {
    const call = receiveCall(this.group, this.topic, { waitMs: 60_000, ...given });
    const waits = settle<unknown>((done) => broker.receive(call, done));
    waits.catch(() => undefined); // Told to who looks at it later.
    return waits;
  }

  ack(receipt: Receipt): Promise<void> {
    return this.trying((broker) => settle<void>((done) => broker.ack({ receipt }, done)));
  }

  /** A call to whoever leads; again while it is told that the leader is another one, or nothing comes back. */
  async trying<T>(call: (broker: BrokerService) => Promise<T>): Promise<T> {
    for (;;) {
      await this.until(() => this.leaders.length > 0, 'somebody leads');
      const { leader } = this;
      const { broker } = leader;
      try {
        return await this.during(Promise.race([call(broker), leader.gone]));
      } catch (caught) {
        if (!MqError.from(caught).retry) throw caught;
        await this.pass(10);
      }
    }
  }

  /** Another process on a copy of its data folder, at another address. */
  copyOf({ disk, place }: SetMemberWorld): SetMemberWorld {
    assert(this.inFiles, 'all of it can be copied');
    const copy = new SetMemberWorld(this, place, `copy of ${place}:1`);
    copy.disk = disk.settled();
    return copy;
  }

  /** Everything that is there for the group, acknowledged. */
  async drain(given: Partial<ReceiveCall> = {}): Promise<string[]> {
    const found: string[] = [];
    for (let empty = 0; empty < 3;) {
      const some = await this.drainOnce(given);
      found.push(...some);
      empty = some.length === 0 ? empty + 1 : 0;
      if (some.length === 0) await this.pass(200);
    }
    return found;
  }

  /** Takes and acknowledges once. A lease that is over by then is no failure: the message comes again. */
  async drainOnce(given: Partial<ReceiveCall> = {}): Promise<string[]> {
    const found: string[] = [];
    for (const { payload, receipt } of await this.poll(given)) {
      const id = bodyOf(payload);
      // Not the id: what was sent twice, since its sender did not hear of the first one, is there twice.
      const place = `${receipt.topicId}/${receipt.queueId}/${receipt.offset}`;
      if (this.done.has(place)) throw new Error(`${id} at ${place} was acknowledged, and came again`);
      found.push(id);
      try {
        await this.ack(receipt);
        this.done.add(place);
      } catch (caught) {
        if (MqError.from(caught).code !== 'INVALID_RECEIPT_HANDLE') throw caught;
      }
    }
    return found;
  }
}

/** One place of the set: a process that comes and goes, and its disk, which stays. */
export class SetMemberWorld {
  disk = new MemoryDisk();
  checkpoints = memoryCheckpoints();
  broker!: BrokerService;
  /** Why it gave up. */
  failure: MqError | undefined;
  /** Rejected when the process ends: what was asked of it is never answered. */
  gone: Promise<never> = Promise.reject(new Error('not started'));
  /** The registry does not answer it. */
  registryAway = false;
  /** Its disk takes what is written, and does not say so. */
  private hung: PromiseWithResolvers<void> | undefined;
  /** How long the registry takes to answer it. */
  registryLagMs = 0;
  /** How far the clock on its wall is ahead of the world's. */
  wallSkewMs = 0;
  readonly said: string[] = [];
  private life: { over: boolean; end: (error: MqError) => void } | undefined;

  constructor(
    private readonly world: SetWorld,
    readonly place: string,
    /** Where it listens. */
    readonly address = `${place}:1`,
  ) {
    this.gone.catch(() => undefined);
  }

  get isUp(): boolean {
    return this.life !== undefined;
  }
  get id(): string {
    return this.broker.member.me;
  }
  get epoch(): number {
    return this.broker.member.leading?.epoch ?? 0;
  }
  get status(): MemberStatus {
    return this.broker.member.status();
  }
  says(): string {
    if (!this.isUp) return 'down';
    const { role, says, appendEnd, commitEnd, epoch } = this.broker.member.status();
    return `${role} ${epoch}, ${commitEnd} of ${appendEnd}: ${says}; ${this.said.slice(-3).join(' | ')}`;
  }

  async start(msMax?: number): Promise<void> {
    const { world, address, place } = this;
    const { network, nameService, options } = world;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.gone = promise;
    this.failure = undefined;
    const life = (this.life = { over: false, end: reject });
    const clock = mortal(world.clock, life, () => this.wallSkewMs);
    const peers = network.peersAt(address);
    const directory = new Directory(nameService, clock);
    const broker: BrokerService = new BrokerService({
      brokerName: world.name,
      memberName: place,
      membersWanted: world.members.length,
      disk: hangable(this.disk, () => this.hung?.promise),
      folder: 'data',
      nameService,
      registry: this.way(),
      peers,
      directory,
      clock,
      log: this.log(life),
      segmentBytes: 256 * KiB,
      recordBytesMax: 64 * KiB,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      diskQueueBytesMax: 1024 * KiB,
      liteTopicsMax: 100,
      liteSubscriptionsMax: 100,
      retentionMs: 72 * 3_600_000,
      pollsMax: 100,
      leaseMs: 3_000,
      address: () => address,
      storeLimits: { aheadBytes: 16 * KiB, reserveBytes: 8 * KiB, compactionReserveBytes: 8 * KiB },
      ...(!world.inFiles && { checkpoints: this.checkpoints }),
      ...options,
      onFatal: (error) => {
        if (!life.over) this.failure = error;
      },
    });
    this.broker = broker;
    network.listen(address, new MemberDoor(world.name, broker.member, peers, clock, broker));
    await directory.start();
    await world.during(broker.start(), msMax);
  }

  /** In good order. */
  async stop(): Promise<void> {
    const { life } = this;
    await this.broker.stop();
    this.world.network.unlisten(this.address);
    this.end(life);
  }

  /** The process is gone; the power too, if chance is given: what was not synced may be lost then. */
  kill(chance?: Prng): void {
    this.disk = chance ? this.disk.crash(chance) : this.disk.kill();
    this.world.network.unlisten(this.address);
    this.end(this.life);
  }

  /** Its volume is lost. */
  loseDisk(): void {
    this.disk = new MemoryDisk();
    this.checkpoints = memoryCheckpoints();
  }

  hang(): void {
    this.hung ??= Promise.withResolvers<void>();
  }
  goOn(): void {
    this.hung?.resolve();
    this.hung = undefined;
  }

  private end(life: SetMemberWorld['life']): void {
    if (!life) return;
    life.over = true;
    this.life = undefined;
    life.end(new MqError('UNAVAILABLE', 'the process is gone'));
  }

  /** To the registry, which may be cut off from here alone. */
  private way(): SetRegistry {
    return new Proxy<SetRegistry>(this.world.registry, {
      get: (of, name) => {
        const found: unknown = Reflect.get(of, name);
        if (typeof found !== 'function') return found;
        if (this.registryAway) return () => Promise.reject(new MqError('UNAVAILABLE', 'the name service is away'));
        if (this.registryLagMs === 0) return found.bind(of) as unknown;
        return async (...args: readonly unknown[]): Promise<unknown> => {
          await sleep(this.world.clock, this.registryLagMs);
          return Reflect.apply(found, of, args);
        };
      },
    });
  }

  private log(life: { over: boolean }): Logger {
    const note =
      (level: string) =>
      (facts: object, said: string): void => {
        if (!life.over) this.said.push(`${level} ${said} ${JSON.stringify(facts)}`);
      };
    return { ...silentLogger, info: note('info'), warn: note('warn'), error: note('error') };
  }
}

/** Whatever makes something durable waits while the disk hangs. */
export function hangable(disk: Disk, hung: () => Promise<void> | undefined): Disk {
  const waits = <T extends object>(of: T, names: readonly string[], wrap?: (opened: object) => object): T =>
    new Proxy(of, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (typeof found !== 'function') return found;
        const act = found.bind(target) as (...args: unknown[]) => unknown;
        if (wrap && name === 'open') return async (...args: unknown[]) => wrap((await act(...args)) as object);
        if (!names.includes(String(name))) return act;
        return async (...args: unknown[]): Promise<unknown> => {
          await hung();
          return act(...args);
        };
      },
    });
  return waits(disk, [], (file) => waits(file, ['writeDurably', 'sync']));
}

/** Of a process that may end: nothing of it happens then any more. */
function mortal(clock: ManualClock, life: { over: boolean }, skewMs: () => number): Clock {
  return {
    wallMs: () => clock.wallMs() + skewMs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, act) => clock.after(delayMs, () => (life.over ? undefined : act())),
    soon: (act) => clock.soon(() => (life.over ? undefined : act())),
  };
}

export function sendCall(topic: Topic, queue: number, id: string, draft: Partial<EnvelopeDraft>) {
  const whole: EnvelopeDraft = {
    ...{ type: topic.type, tag: Buffer.alloc(0), id: Buffer.from(id), group: Buffer.alloc(0), keys: [] },
    ...draft,
  };
  return {
    ...{ topicId: topic.id, queueId: queueId(queue), layout: topic.layout, deadlineMs: undefined },
    ...{ tagHash: hashBytes(whole.tag), groupHash: hashBytes(whole.group), envelope: encodeEnvelope(whole) },
    message: [Buffer.from(`body of ${id}`)],
  };
}

function receiveCall(group: ConsumerGroup, topic: Topic, given: Partial<ReceiveCall>): ReceiveCall {
  return {
    ...{ groupId: group.id, topicId: topic.id, queueId: -1, messagesMax: 32, bytesMax: 1 << 20, filter: everything },
    ...{ invisibleMs: 5_000, autoRenew: false, clientId: 'c1', waitMs: 0, attemptId: undefined },
    ...given,
  };
}

export const bodyOf = (payload: Uint8Array): string => Buffer.from(payload).toString().split('body of ')[1] ?? '?';
