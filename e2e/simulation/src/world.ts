/**
 * The real roles in one process, on clocks, disks, a network and metadata that a seed governs: a name service, a broker set
 * of one, two or three members, and a proxy. Each is built of the parts of its program, and speaks gRPC over `SimNetwork`.
 * Nothing but the seed decides what happens when, so a run repeats.
 *
 *   clients ── proxy ── members of the broker set, each on a slow disk over a MemoryDisk
 *                └── name service ──┘                 └─ followers of the leader
 */
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';

import { BrokerService, exchange, MemberDoor, replicationGrpcService } from '@cometmq/broker';
import {
  Directory,
  GrpcNameService,
  GrpcPeers,
  GrpcSetRegistry,
  Leaders,
  PublicClient,
  RemoteBrokerLinks,
} from '@cometmq/client';
import type { NamesrvService } from '@cometmq/namesrv';
import { createMessagingService } from '@cometmq/proxy';
import { KiB, liteGroupDefaults, MessageType, MiB, topicName } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { type ErrorCode, Prng, type MqError } from '@cometmq/shared';
import { MemoryDisk, resting } from '@cometmq/store/testing';
import type { Logger } from '@cometmq/telemetry';

import { Audit } from './audit.js';
import { FileFlips } from './file-flips.js';
import { Flips } from './flips.js';
import type { Circumstances } from './ledger.js';
import { SimClock, type SimProcess, startWallMs } from './sim-clock.js';
import { type DiskCondition, slowDisk } from './sim-disk.js';
import { NameServer, SimMetadata } from './sim-metadata.js';
import { SimNetwork, type Speaker } from './sim-network.js';
import { type Effect, Tally } from './tally.js';

export const brokerSet = 'broker-0';
const namesrvHosts = ['namesrv-0', 'namesrv-1'];
const proxyHost = 'proxy';

/** What happened, and what was committed, as a hash: two runs that did the same have the same. */
export class Trace {
  lines = 0;
  private readonly hash = createHash('sha256');
  /** Not hashed yet: many at once cost less than each of them. */
  private waiting = '';

  constructor(
    private readonly clock: SimClock,
    private readonly print: ((line: string) => void) | undefined,
  ) {}

  /** @param facts are printed only */
  note(what: string, facts?: object): void {
    const line = `${this.clock.nowMs.toFixed(3)} ${what}`;
    this.lines += 1;
    this.waiting += `${line}\n`;
    if (this.waiting.length > 64 * KiB) this.take();
    this.print?.(facts === undefined ? line : `${line} ${inspect(facts, { breakLength: Infinity, compact: true })}`);
  }
  /** @param committed the bytes of the log */
  digest(committed: Uint8Array): string {
    this.take();
    return this.hash.copy().update(committed).digest('hex').slice(0, 16);
  }

  private take(): void {
    this.hash.update(this.waiting);
    this.waiting = '';
  }
}

export interface SimClient {
  readonly client: PublicClient;
  readonly process: SimProcess;
  readonly chance: Prng;
  readonly channel: RpcChannel;
}

export interface WorldOptions {
  readonly seed: number;
  /** Of the broker set. Default: three. */
  readonly members?: number | undefined;
  /** All kinds of faults, and all that clients do; else the seed says which. */
  readonly hasAll?: boolean | undefined;
  readonly print?: ((line: string) => void) | undefined;
  /** Where it is counted what happened. */
  readonly tally?: Tally | undefined;
  /** What a test breaks in each broker that is built. */
  readonly plant?: ((broker: BrokerService) => void) | undefined;
}

/** Of all roles together. */
export interface Held {
  readonly timers: number;
  readonly calls: number;
  readonly polls: number;
}

export class World {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly trace: Trace;
  readonly metadata: SimMetadata;
  readonly nameServers: readonly NameServer[];
  readonly members: Member[];
  /** Mistakes of ours that ended a process which nobody had ended. */
  readonly failures: string[] = [];
  readonly audit: Audit;
  readonly flips: Flips;
  readonly fileFlips: FileFlips;
  /** Some have many segments. */
  readonly segmentBytes: number;
  /** A member has ended by itself, as it may; whoever watches over it starts it again. */
  onEnded: (member: Member) => void = () => undefined;
  readonly tally: Tally;
  readonly proxy: { readonly process: SimProcess };
  /** See `Circumstances`. */
  aheadMsMax = 0;
  isWallSteady = true;
  wholeWallMs: number | undefined;
  /** Not started for now. */
  readonly keptOut = new Set<Member>();

  constructor(readonly options: WorldOptions) {
    const { seed, members = 3, print, tally = new Tally() } = options;
    this.tally = tally;
    this.clock = new SimClock(this.chance('turns'));
    this.proxy = { process: this.clock.process(proxyHost) };
    const met = (effect: Effect): void => tally.effect(effect);
    this.network = new SimNetwork(this.clock, this.chance('network'), met);
    this.trace = new Trace(this.clock, print);
    this.metadata = new SimMetadata(this.clock, met);
    this.nameServers = namesrvHosts.map(
      (host) => new NameServer(this.clock, this.network, this.metadata, host, `simulation ${seed}`),
    );
    this.members = Array.from({ length: members }, (_, i) => new Member(this, `place-${i}`));
    this.segmentBytes = this.chance('segments').pick([24, 64]) * KiB;
    this.flips = new Flips(this.members);
    this.fileFlips = new FileFlips(this.chance('copies'), members === 2);
    this.audit = new Audit(this.members, this.flips);
  }

  /** A stream of chance of its own: who asks more often does not change what others get. */
  chance(name: string): Prng {
    const digest = createHash('sha256').update(`${this.options.seed} ${name}`).digest();
    return new Prng(digest.readUIntLE(0, 6));
  }

  async start(): Promise<void> {
    await this.metadata.store.start();
    for (const server of this.nameServers) await server.start();
    await Promise.all([this.startProxy(), ...this.members.map((member) => member.start())]);
    const { namesrv } = this;
    await namesrv.createTopic({ name: 'orders', type: MessageType.normal, writeQueues: 4, readQueues: 4 });
    await namesrv.createTopic({ name: 'steps', type: MessageType.fifo, writeQueues: 2, readQueues: 2 });
    await namesrv.createTopic({ name: 'later', type: MessageType.delay, writeQueues: 2, readQueues: 2 });
    const group = { attemptsMax: 1_000, retryPolicy: { kind: 'customized', nextMs: [500] } } as const;
    await namesrv.createGroup({ name: 'readers', start: { at: 'first' }, ...group });
    await namesrv.createGroup({ name: 'ordered', start: { at: 'first' }, fifo: true, ...group });
    await namesrv.createGroup({ name: 'late', start: { at: 'first' }, ...group });
    await namesrv.createTopic({ name: 'deals', type: MessageType.transaction, writeQueues: 2, readQueues: 2 });
    await namesrv.createGroup({ name: 'traders', start: { at: 'first' }, ...group });
    await namesrv.createTopic({ name: 'sessions', type: MessageType.lite, writeQueues: 1, readQueues: 1 });
    await namesrv.createGroup({
      ...{ name: 'agents', start: { at: 'first' }, ...group },
      lite: { ...liteGroupDefaults, topic: topicName('sessions') },
    });
    await namesrv.createTopic({ name: 'risky', type: MessageType.normal, writeQueues: 2, readQueues: 2 });
    await namesrv.createGroup({ name: 'careful', start: { at: 'first' }, ...group, attemptsMax: 2 });
    await namesrv.createGroup({ name: 'undertakers', start: { at: 'first' }, ...group });
  }

  /** What wall clocks show that nobody has set. */
  get wallMs(): number {
    return startWallMs + this.clock.nowMs;
  }
  get circumstances(): Circumstances {
    const { wallMs, aheadMsMax, isWallSteady, wholeWallMs, audit } = this;
    return {
      wallMs,
      aheadMsMax,
      isWallSteady,
      wholeWallMs,
      epochs: audit.epochs,
      copiesOf: (bytes) => audit.copiesOf(bytes),
    };
  }

  /** What the roles hold: it comes and goes with those who ask for something. */
  get held(): Held {
    const processes = [...this.members, ...this.nameServers, this.proxy].flatMap(({ process }) => process ?? []);
    return {
      timers: processes.reduce((sum, { timers }) => sum + timers, 0),
      calls: this.network.openCalls,
      polls: this.members.reduce((sum, { broker }) => sum + (broker?.waitingPolls ?? 0), 0),
    };
  }

  /** An instance that runs. */
  get namesrv(): NamesrvService {
    const found = this.nameServers.find(({ service }) => service !== undefined)?.service;
    if (!found) throw new Error('no instance of the name service runs');
    return found;
  }

  private async startProxy(): Promise<void> {
    const clock = this.proxy.process;
    const speaker = { host: proxyHost, process: clock };
    const connect = this.connects(speaker);
    const nameService = new GrpcNameService({ nameServers: { addresses: namesrvHosts }, connect, clock });
    const directory = new Directory(nameService, clock);
    const peers = this.peersOf(speaker);
    const leaders = new Leaders(directory, clock, (address, set) => peers.peer(address).status(set));
    const links = new RemoteBrokerLinks(leaders, connect, clock);
    const messaging = createMessagingService({
      nameService,
      directory,
      links,
      clock,
      chance: this.chance('proxy'),
      log: (said, cause) => this.trace.note(`proxy: ${said}: ${String(cause)}`),
    });
    await directory.start();
    await leaders.start();
    await links.start();
    await messaging.start();
    this.network.listen(speaker, [messaging.service]);
  }

  connects(from: Speaker): (address: string) => RpcChannel {
    return (address) => this.network.channel(from, hostOf(address));
  }
  peersOf(from: Speaker): GrpcPeers {
    const { network } = this;
    return new GrpcPeers({
      connect: this.connects(from),
      refuses: (address, msMax) => network.refuses(from, hostOf(address), msMax),
      clock: from.process,
    });
  }

  /** A client on a connection of its own. */
  client(name: string): SimClient {
    const process = this.clock.process(name);
    const chance = this.chance(name);
    const channel = this.network.channel({ host: name, process }, proxyHost);
    const client = new PublicClient({ channel, clock: process, chance, clientId: name, processId: 1 });
    return { client, process, chance, channel };
  }

  /** Who makes topics. */
  administrator(): { readonly names: GrpcNameService; readonly process: SimProcess; readonly chance: Prng } {
    const process = this.clock.process('administrator');
    const connect = this.connects({ host: 'administrator', process });
    const names = new GrpcNameService({ nameServers: { addresses: namesrvHosts }, connect, clock: process });
    return { names, process, chance: this.chance('administrator') };
  }

  /** Machines between which lines can break. */
  get hosts(): string[] {
    return [...this.members.map(({ place }) => place), ...namesrvHosts, proxyHost];
  }
  /** All members lead or follow, and have what the leader has. */
  get isWhole(): boolean {
    const { members } = this;
    const leading = members.flatMap((member) => member.broker?.member.leading ?? []);
    const [one] = leading;
    if (leading.length !== 1 || !one || one.members.members.length !== members.length) return false;
    const ends = members.map((member) => member.broker?.store.commitEnd ?? -1);
    return ends.every((end) => end === ends[0]) && one.members.members.every((each) => one.isInSync(each));
  }

  /** A member's process says that it ends. */
  couldNotGoOn(member: Member, error: MqError): void {
    // Metadata that was set back, and has gone on from there, may contradict the log: an operator has to say what counts.
    if (error.code === 'METADATA_MISMATCH' && this.metadata.wasSetBack) {
      this.trace.note(`${member.place} #${member.starts} ends: ${error.reason}`);
      member.end(false);
      return;
    }
    // Of a log that is damaged where it has to be read nothing can be known any more; a start takes it anew.
    if (!this.isExcused(member, error.code)) {
      this.failures.push(`${member.place} #${member.starts} could not go on: ${reasonOf(error)}`);
      return;
    }
    this.trace.note(`${member.place} #${member.starts} ends: ${error.reason}`);
    // What a sync that failed was for may or may not be on the disk.
    member.end(error.code === 'DISK_FAILED');
    this.onEnded(member);
  }

  /** Its disk is such that it may end so. */
  isExcused(member: Member, code: ErrorCode): boolean {
    if (code === 'DISK_FAILED') return member.condition.hasFailed;
    if (code === 'CORRUPT_RECORD' || code === 'DATA_FOLDER')
      return this.flips.isDamaged(member) || this.fileFlips.isHurt(member.place);
    return code === 'STORAGE_FULL' && member.disk.capacityBytes < Infinity;
  }

  /** Lets things happen until it is so. @throws Error when it is not within `simMsMax`, or nothing can happen any more */
  run(isSo: () => boolean, simMsMax: number, what: string): Promise<number> {
    const endMs = this.clock.nowMs + simMsMax;
    let steps = 0;
    return new Promise((resolve, reject) => {
      let over = false;
      // Between two immediates all that follows from a step without waiting gets its turn.
      const step = (): void => {
        // Who rests for a turn of the loop has it before anything else happens.
        if (over || resting() > 0) return;
        try {
          this.audit.look();
          const { wrong } = this.audit;
          if (wrong.length > 0) throw new Error(wrong.slice(0, 3).join('; '));
          if (this.failures.length > 0) throw new Error(this.failures.join('; '));
          if (isSo()) {
            over = true;
            resolve(steps);
            return;
          }
          if (this.clock.nowMs > endMs) throw new Error(`not within ${simMsMax} ms of simulated time: ${what}`);
          if (!this.clock.step()) throw new Error(`nothing can happen any more, and it is not so: ${what}`);
          steps += 1;
        } catch (caught) {
          over = true;
          reject(caught instanceof Error ? caught : new Error(String(caught)));
        }
      };
      const batch = (): void => {
        for (let i = 0; i < 64; i += 1) setImmediate(step);
        setImmediate(() => over || batch());
      };
      batch();
    });
  }
}

/** The reason, and for what nobody expected its cause. */
function reasonOf({ reason, cause }: MqError): string {
  return cause instanceof Error ? `${reason}: ${cause.stack ?? cause.message}` : reason;
}

const hostOf = (address: string): string => address.split(':')[0] ?? '';

/** A place of the broker set: a process that comes and goes, and its disk, which stays. */
export class Member {
  starts = 0;
  broker: BrokerService | undefined;
  /** Until it has stopped. */
  stopping: Promise<void> | undefined;
  disk = new MemoryDisk();
  /** Of its disk. */
  readonly condition: DiskCondition = { slowMs: 0, hangsUntilMs: 0, failsSync: false, hasFailed: false };
  process: SimProcess | undefined;
  private wallOffsetMs = 0;
  private readonly chance: Prng;

  constructor(
    private readonly world: World,
    /** Also its machine, and its address. */
    readonly place: string,
  ) {
    this.chance = world.chance(`member ${place}`);
  }

  get isUp(): boolean {
    return this.broker !== undefined;
  }
  /** For people. */
  says(): string {
    if (!this.broker) return 'down';
    const { role, says, epoch, commitEnd, appendEnd } = this.broker.member.status();
    return `${role} ${epoch}, ${commitEnd} of ${appendEnd}: ${says}`;
  }

  /** Resolves when it leads or follows; never, when it is ended before. */
  async start(): Promise<void> {
    const { world, chance, place } = this;
    const { network, options } = world;
    this.starts += 1;
    this.condition.failsSync = this.condition.hasFailed = false;
    const process = world.clock.process(`${place} #${this.starts}`);
    this.process = process;
    process.wallOffsetMs = this.wallOffsetMs;
    const speaker = { host: place, process };
    const connect = world.connects(speaker);
    const nameService = new GrpcNameService({ nameServers: { addresses: namesrvHosts }, connect, clock: process });
    const registry = new GrpcSetRegistry({ nameServers: { addresses: namesrvHosts }, connect, clock: process });
    const peers = world.peersOf(speaker);
    const directory = new Directory(nameService, process);
    const broker = new BrokerService({
      brokerName: brokerSet,
      memberName: place,
      membersWanted: world.members.length,
      disk: slowDisk(this.disk, process, chance, this.condition, (effect) => world.tally.effect(effect)),
      folder: 'data',
      nameService,
      registry,
      peers,
      directory,
      clock: process,
      log: this.log(process),
      segmentBytes: world.segmentBytes,
      recordBytesMax: 16 * KiB,
      diskFreeBytesMin: 0,
      pendingBytesMax: 0,
      diskQueueBytesMax: MiB,
      liteTopicsMax: 100,
      liteSubscriptionsMax: 100,
      retentionMs: 72 * 3_600_000,
      pollsMax: 1_000,
      followerReadsBehindBytes: 1,
      leaseMs: 3_000,
      address: () => `${place}:1`,
      scrubBytesPerSecond: MiB,
      scrubEveryMs: 5_000,
      onFatal: (error: MqError) => {
        if (!process.isOver) world.couldNotGoOn(this, error);
      },
      storeLimits: {
        aheadBytes: 16 * KiB,
        reserveBytes: 8 * KiB,
        compactionReserveBytes: 8 * KiB,
        checkpointMs: 2_000,
      },
    });
    options.plant?.(broker);
    this.broker = broker;
    await directory.start();
    network.listen(speaker, [
      { name: 'cometmq.v1.BrokerService', methods: { Exchange: { kind: 'bidi', handler: exchange(broker, process) } } },
      replicationGrpcService(new MemberDoor(brokerSet, broker.member, peers, process, broker), process),
    ]);
    await broker.start();
  }

  /** Ended by force. `power`: what was not synced may be lost, and what was being written be torn. */
  end(power: boolean): void {
    this.process?.end();
    this.broker = undefined;
    this.stopping = undefined;
    this.world.network.gone(this.place);
    if (power && this.disk.hasUnsynced) this.world.tally.effect('what was not synced was lost with the power');
    this.disk = power ? this.disk.crash(this.chance) : this.disk.kill();
  }

  /** Ended as it should be; a second time it is only waited for. */
  stop(): Promise<void> {
    this.stopping ??= this.stopNow().finally(() => (this.stopping = undefined));
    return this.stopping;
  }

  private async stopNow(): Promise<void> {
    const { broker, process } = this;
    if (!broker || !process) return;
    await broker.stop().catch((caught: unknown) => {
      if (!this.condition.hasFailed) throw caught;
      this.world.trace.note(`${this.place} stops on a disk that fails`);
      this.end(true);
    });
    this.broker = undefined;
    process.end();
    this.world.network.gone(this.place);
    this.disk = this.disk.kill(); // Its lock is free.
  }

  /** SIGSTOP and SIGCONT. */
  pause(): void {
    this.process?.pause();
  }
  resume(): void {
    this.process?.resume();
  }

  /** Sets the wall clock of its machine so far from the others'. */
  setWall(offsetMs: number): void {
    this.wallOffsetMs = offsetMs;
    if (offsetMs !== 0) this.world.isWallSteady = false;
    this.world.aheadMsMax = Math.max(this.world.aheadMsMax, offsetMs);
    if (this.process) this.process.wallOffsetMs = offsetMs;
  }

  private log(process: SimProcess): Logger {
    const said =
      (level: string) =>
      (facts: object, what: string): void => {
        if (process.isOver) return;
        this.world.tally.path(what);
        if (what === 'a snapshot was taken') this.world.flips.tookSnapshot(this, this.world.audit);
        this.world.trace.note(`${process.name}: ${level}: ${what}`, facts);
      };
    return { debug: () => undefined, info: said('info'), warn: said('warn'), error: said('error') };
  }
}
