/**
 * The real roles in one process, on clocks, disks, a network and metadata that a seed governs: a name service, a broker set
 * and a proxy. Nothing but the seed decides what happens when, so a run repeats.
 *
 *   client ─ SimChannel ─ proxy ─ SimLink ─ member of the broker set ─ slow disk ─ MemoryDisk
 *                           └──── far ────── name service ──── far ──────┘
 *
 * The set has one member so far: `members` is a list, and each has its own process, disk and way to the name service.
 */
import { createHash } from 'node:crypto';

import { BrokerService } from '@cometmq/broker';
import { Directory, PublicClient } from '@cometmq/client';
import { MemoryStore } from '@cometmq/metadata';
import { NamesrvService } from '@cometmq/namesrv';
import { createMessagingService, type MessagingService } from '@cometmq/proxy';
import { KiB, MessageType, MiB } from '@cometmq/model';
import { Prng, type MqError } from '@cometmq/shared';
import { MemoryDisk } from '@cometmq/store/testing';
import type { Logger } from '@cometmq/telemetry';

import { SimChannel } from './sim-channel.js';
import { SimClock, type SimProcess } from './sim-clock.js';
import { slowDisk } from './sim-disk.js';
import { farNaming, farRegistry, SimLink } from './sim-network.js';

export const brokerSet = 'broker-0';

/** What happened, as a hash: two runs that did the same have the same. */
export class Trace {
  lines = 0;
  private readonly hash = createHash('sha256');

  constructor(
    private readonly clock: SimClock,
    private readonly print: ((line: string) => void) | undefined,
  ) {}

  note(what: string): void {
    const line = `${this.clock.nowMs.toFixed(3)} ${what}`;
    this.lines += 1;
    this.hash.update(`${line}\n`);
    this.print?.(line);
  }
  digest(): string {
    return this.hash.copy().digest('hex').slice(0, 16);
  }
}

export class World {
  readonly clock: SimClock;
  readonly trace: Trace;
  readonly namesrv: NamesrvService;
  readonly members: Member[];
  readonly link: SimLink;
  /** Mistakes of ours that ended a process which nobody had ended. */
  readonly failures: string[] = [];
  private messaging: MessagingService | undefined;
  private readonly metadata: MemoryStore;
  private connections = 0;
  private readonly proxy: SimProcess;

  constructor(
    readonly seed: number,
    print?: (line: string) => void,
    /** What a test breaks in each broker that is built. */
    readonly plant?: (broker: BrokerService) => void,
  ) {
    this.clock = new SimClock(this.chance('turns'));
    this.trace = new Trace(this.clock, print);
    const clock = this.clock.process('namesrv');
    this.metadata = new MemoryStore(clock);
    this.namesrv = new NamesrvService({
      store: this.metadata,
      clock,
      autoCreateTopics: false,
      autoCreateGroups: false,
      newIdentity: () => ({ clusterId: `simulation ${seed}`, secret: Buffer.alloc(32, 7) }),
    });
    this.proxy = this.clock.process('proxy');
    this.link = new SimLink(this.proxy, this.chance('link'));
    this.members = [new Member(this, `${brokerSet}`)];
  }

  /** A stream of chance of its own: who asks more often does not change what others get. */
  chance(name: string): Prng {
    const digest = createHash('sha256').update(`${this.seed} ${name}`).digest();
    return new Prng(digest.readUIntLE(0, 6));
  }

  async start(): Promise<void> {
    await this.metadata.start();
    await this.namesrv.start();
    const nameService = farNaming(this.namesrv, this.proxy, this.chance('proxy nameService'));
    const directory = new Directory(nameService, this.proxy);
    this.messaging = createMessagingService({
      nameService,
      directory,
      links: { link: (set) => (directory.brokerSet(set)?.leader === undefined ? undefined : this.link) },
      clock: this.proxy,
      chance: this.chance('proxy'),
      log: (said, cause) => this.trace.note(`proxy: ${said}: ${String(cause)}`),
    });
    await Promise.all([directory.start(), ...this.members.map((member) => member.start())]);
    await this.messaging.start();
    await this.namesrv.createTopic({ name: 'orders', type: MessageType.normal, writeQueues: 4, readQueues: 4 });
    await this.namesrv.createTopic({ name: 'steps', type: MessageType.fifo, writeQueues: 2, readQueues: 2 });
    await this.namesrv.createTopic({ name: 'later', type: MessageType.delay, writeQueues: 2, readQueues: 2 });
    const group = { attemptsMax: 1_000, retryPolicy: { kind: 'customized', nextMs: [500] } } as const;
    await this.namesrv.createGroup({ name: 'readers', start: { at: 'first' }, ...group });
    await this.namesrv.createGroup({ name: 'ordered', start: { at: 'first' }, fifo: true, ...group });
    await this.namesrv.createGroup({ name: 'late', start: { at: 'first' }, ...group });
  }

  /** A client on a connection of its own. */
  client(name: string): { readonly client: PublicClient; readonly process: SimProcess; readonly chance: Prng } {
    const process = this.clock.process(name);
    const chance = this.chance(name);
    const service = () => {
      if (!this.messaging) throw new Error('the world has been started');
      return this.messaging.service;
    };
    const channel = new SimChannel(service, process, this.chance(`${name} wire`), (this.connections += 1));
    const client = new PublicClient({ channel, clock: process, chance, clientId: name });
    return { client, process, chance };
  }

  /** Lets things happen until it is so. @throws Error when it is not within `simMsMax`, or nothing can happen any more */
  async run(isSo: () => boolean, simMsMax: number, what: string): Promise<number> {
    const endMs = this.clock.nowMs + simMsMax;
    let steps = 0;
    while (!isSo()) {
      await new Promise((resolve) => setImmediate(resolve)); // All that follows from the last step without waiting.
      if (this.failures.length > 0) throw new Error(this.failures.join('; '));
      if (this.clock.nowMs > endMs) throw new Error(`not within ${simMsMax} ms of simulated time: ${what}`);
      if (!this.clock.step() && !isSo()) throw new Error(`nothing can happen any more, and it is not so: ${what}`);
      steps += 1;
    }
    return steps;
  }
}

/** A member of the broker set: a process that comes and goes, and its disk, which stays. */
export class Member {
  starts = 0;
  broker: BrokerService | undefined;
  private disk = new MemoryDisk();
  private process: SimProcess | undefined;
  private wallOffsetMs = 0;
  private readonly chance: Prng;

  constructor(
    private readonly world: World,
    private readonly name: string,
  ) {
    this.chance = world.chance(`member ${name}`);
  }

  get isUp(): boolean {
    return this.broker !== undefined;
  }

  /** Resolves when it leads; never, when it is ended before. */
  async start(): Promise<void> {
    const { world, chance } = this;
    this.starts += 1;
    const process = world.clock.process(`${this.name} #${this.starts}`);
    this.process = process;
    process.wallOffsetMs = this.wallOffsetMs;
    const nameService = farNaming(world.namesrv, process, chance);
    const registry = farRegistry(world.namesrv.sets, process, chance);
    const directory = new Directory(nameService, process);
    const said =
      (level: string) =>
      (_facts: object, what: string): void => {
        if (!process.isOver) world.trace.note(`${process.name}: ${level}: ${what}`);
      };
    const log: Logger = { debug: () => undefined, info: said('info'), warn: said('warn'), error: said('error') };
    const broker = new BrokerService({
      brokerName: this.name,
      disk: slowDisk(this.disk, process, chance),
      folder: 'data',
      nameService,
      registry,
      directory,
      clock: process,
      log,
      segmentBytes: 256 * KiB,
      recordBytesMax: 64 * KiB,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      diskQueueBytesMax: MiB,
      liteTopicsMax: 100,
      liteSubscriptionsMax: 100,
      retentionMs: 72 * 3_600_000,
      pollsMax: 1_000,
      leaseMs: 3_000,
      address: () => this.name,
      onFatal: (error: MqError) => {
        if (!process.isOver) world.failures.push(`${process.name} could not go on: ${error.reason}`);
      },
      storeLimits: {
        aheadBytes: 64 * KiB,
        reserveBytes: 32 * KiB,
        compactionReserveBytes: 32 * KiB,
        checkpointMs: 2_000,
      },
    });
    world.plant?.(broker);
    await directory.start();
    await broker.start();
    this.broker = broker;
    world.link.connect(broker);
  }

  /** Ended by force. `power`: what was not synced may be lost, and what was being written be torn. */
  end(power: boolean): void {
    this.process?.end();
    this.broker = undefined;
    this.world.link.connect(undefined);
    this.disk = power ? this.disk.crash(this.chance) : this.disk.kill();
  }

  /** Ended as it should be. */
  async stop(): Promise<void> {
    const { broker, process } = this;
    if (!broker || !process) return;
    this.broker = undefined;
    await broker.stop();
    process.end();
    this.world.link.connect(undefined);
    this.disk = this.disk.kill(); // Its lock is free.
  }

  /** The connection of the proxy breaks, and is made anew when it is mended. */
  cut(): void {
    this.world.link.connect(undefined);
  }
  mend(): void {
    if (this.broker) this.world.link.connect(this.broker);
  }
  /** Sets the wall clock of its machine so far from the others'. */
  setWall(offsetMs: number): void {
    this.wallOffsetMs = offsetMs;
    if (this.process) this.process.wallOffsetMs = offsetMs;
  }
}
