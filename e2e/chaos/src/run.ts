/**
 * Chaos on real processes: official clients send and receive without pause while one fault after the other strikes, and
 * ledgers count every answer. Ends by itself: after the rounds or the time it was given, a healing phase has to come to
 * rest, and then every acknowledged message must have been delivered, in the order of its group.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { hashBytes, hashText, setOfHash } from '@cometmq/model';
import { Prng } from '@cometmq/shared';

import { memberName } from '../../../tools/cluster/cluster.ts';
import type { ClusterProcess } from '../../../tools/cluster/process.ts';
import { Clients } from '../../support/clients.js';
import { type Cluster, freshCluster } from '../../support/cluster.js';
import { Ledger } from '../../support/ledger.js';
import { type Member, OrderLedger } from '../../support/order-ledger.js';
import { until } from '../../support/until.js';
import { clockEnv } from './clocks.js';
import type { Stage } from './faults/fault.js';
import { type FaultKind, faults, needsOf } from './faults/index.js';
import { Network } from './network.js';
import { Pulse } from './pulse.js';
import { Slices } from './timeline.js';
import { findTools, mountMemory, type Tools, unmount } from './tools.js';
import { Victims } from './victims.js';

export interface ChaosOptions {
  readonly sets: number;
  readonly replicas: number;
  /** What strikes in each round, one after the other; of a random set each. */
  readonly faults: readonly FaultKind[];
  /** Ends after so many faults, or after so long. */
  readonly strikesMax: number;
  readonly msMax: number;
  readonly seed: number;
  /** Message groups, and workers that send without a group. */
  readonly groups: number;
  readonly workers: number;
  readonly pauseMs: number;
  /** The log of each set is made so long before the first fault. */
  readonly fillBytes?: number;
  /** Where data and logs are kept; left out: nowhere. */
  readonly folder?: string | undefined;
  readonly say: (line: string) => void;
}

export interface Strike {
  readonly kind: FaultKind;
  readonly set: string;
  /** When it struck and when all was whole again, from the beginning of the run. */
  readonly fromMs: number;
  readonly toMs: number;
  /** The longest time without an answered send to the set, as the client sees it. */
  readonly gapMs: number;
  /** When that began, from when the fault struck. */
  readonly gapAtMs: number;
  /** The longest that one answered send took. */
  readonly sendMs: number;
  /** Sends to the set that failed for good. */
  readonly failed: number;
  /** Until all members were in sync again, from when the victim was back. */
  readonly wholeMs: number;
  readonly epoch: number;
  /** How many epochs began. */
  readonly elections: number;
  /** Of the take-over, as the new leader tells them; undefined: there was none, or it has none to tell. */
  readonly phases: Readonly<Record<string, number>> | undefined;
  /** Who was hit, where chance chose, and the like. */
  readonly notes: readonly string[];
}

export interface ChaosResult {
  readonly strikes: readonly Strike[];
  readonly acknowledged: number;
  readonly lost: readonly string[];
  /** Stored more than once: the producer, or a proxy, had no answer and sent again. */
  readonly storedAgain: number;
  readonly orderFaults: readonly string[];
  readonly failedSends: number;
  readonly minutes: number;
  /** Processes that ended without having been asked or killed, and how. */
  readonly ended: readonly string[];
  /** Faults that this machine can't do, and why. */
  readonly leftOut: readonly string[];
  readonly slices: Slices;
}

/** How long after a fault a gap is still laid at its door. */
const settleMs = 1_500;
/** A process that ends by itself is started again after this, as a supervisor would. */
const againMs = 500;
/** How long a client may take to start. */
const startMsMax = 120_000;
/** Room for a few segments of what is sent meanwhile. */
const smallDiskMib = 512;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const beganMs = performance.now();
  const needs = needsOf(options.faults);
  const tools = findTools(needs, options.replicas);
  const possible = options.faults.filter((kind) => !(faults[kind].needs ?? []).some((need) => tools.missing.has(need)));
  const leftOut = [...tools.missing].map(
    ([need, why]) =>
      `${options.faults.filter((kind) => faults[kind].needs?.includes(need)).join(', ')}: ${need}: ${why.split('\n')[0]}`,
  );
  for (const line of leftOut) options.say(`left out: ${line}`);
  if (possible.length === 0) throw new RangeError(`none of these faults can be done here: ${leftOut.join('; ')}`);
  const home = options.folder ?? mkdtempSync(join(tmpdir(), 'cometmq-chaos-'));
  const mounts = tools.tmpfs ? brokerNames(options).map((name) => join(home, name)) : [];
  const network = new Network();
  try {
    for (const mount of mounts) mountMemory(mount, smallDiskMib);
    const run = new Run(
      { ...options, faults: possible },
      { home, network, tools, relayed: needs.has('relay') },
      beganMs,
    );
    return { ...(await run.play()), leftOut };
  } finally {
    network.end();
    for (const mount of mounts) unmount(mount);
    if (options.folder === undefined) rmSync(home, { recursive: true, force: true });
  }
}

function brokerNames({ sets, replicas }: ChaosOptions): string[] {
  return Array.from({ length: sets * replicas }, (_, i) =>
    memberName(Math.floor(i / replicas), i % replicas, replicas),
  );
}

interface Place {
  readonly home: string;
  readonly network: Network;
  readonly tools: Tools;
  /** Whether calls between processes go through the network's relays. */
  readonly relayed: boolean;
}

class Run {
  private readonly pulse = new Pulse();
  private readonly slices = new Slices();
  private readonly chance: Prng;
  private readonly ended: string[] = [];
  private readonly strikes: Strike[] = [];
  private readonly names: readonly string[];
  private over = false;

  constructor(
    private readonly options: ChaosOptions,
    private readonly place: Place,
    private readonly beganMs: number,
  ) {
    this.chance = new Prng(options.seed);
    this.names = Array.from({ length: options.sets }, (_, i) => `broker-${i}`);
  }

  async play(): Promise<Omit<ChaosResult, 'leftOut'>> {
    const { options, place } = this;
    const { faketime } = place.tools;
    const cluster = await freshCluster(
      {
        folder: place.home,
        size: { sets: options.sets, replicas: options.replicas },
        ...(place.relayed && { door: (name: string, port: number) => place.network.door(name, port) }),
        ...(faketime !== undefined && {
          env: (name: string) => (name.startsWith('broker-') ? clockEnv(faketime, place.home, name) : {}),
        }),
      },
      (made) => place.network.know(() => pidsOf(made)),
    );
    const clients = cluster.proxies.map(
      (proxy) =>
        new Clients(
          () => import('rocketmq-client-nodejs'),
          () => ({ endpoints: proxy.address, tls: false, restUrl: cluster.restUrl }),
        ),
    );
    try {
      this.supervise(cluster.processes);
      return await this.load(cluster, clients as [Clients, ...Clients[]]);
    } finally {
      this.over = true;
      await Promise.all(clients.map((made) => made.end().catch(() => undefined)));
      await cluster.end();
    }
  }

  /** Sends and receives, and lets one fault after the other strike meanwhile. */
  private async load(cluster: Cluster, clients: [Clients, ...Clients[]]): Promise<Omit<ChaosResult, 'leftOut'>> {
    const { options, names, pulse } = this;
    const [first, second = first] = clients;
    const victims = new Victims(cluster, () => this.chance.next());
    for (const name of names) await victims.whole(name);
    await first.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 4 });
    await first.rest('POST', '/groups', { name: 'walkers', fifo: true, attemptsMax: 1_000 });
    if (options.fillBytes !== undefined) await this.fill(await first.producer(), options.fillBytes);
    const setOf = setsOfGroups(names);
    const plain = new Ledger('plain', options.pauseMs);
    const order = new OrderLedger('steps', options.groups, options.pauseMs, (group, ok, tookMs) => {
      const set = setOf(`group-${group}`);
      const nowMs = performance.now();
      this.slices.add(nowMs - this.beganMs, tookMs, ok);
      if (ok) pulse.beat(set, nowMs, tookMs);
      else pulse.failed(set);
    });
    // Everything as the package has it by default. Senders are at the first proxy, which is never killed.
    order.send(await patiently(() => first.producer()));
    plain.send(await patiently(() => first.producer()), 'p', options.workers);
    const walkers: Member[] = [];
    for (const made of [first, second]) {
      plain.read(await patiently(() => made.simple('auditors', 'plain')));
      walkers.push(order.member(await patiently(() => made.simple('walkers', 'steps'))));
    }
    await plain.more(50, 'before the first fault');
    await order.more(50, 'before the first fault');
    // Each set has message groups of its own, or what befalls it is not to be seen.
    for (const name of names) await until(`a send to ${name}`, () => pulse.firstAfter(name, 0) !== undefined, 60_000);

    const lost: string[] = [];
    while (this.strikes.length < options.strikesMax && performance.now() - this.beganMs < options.msMax) {
      const kind = options.faults[this.strikes.length % options.faults.length] as FaultKind;
      const set = names[Math.floor(this.chance.next() * names.length)] as string;
      try {
        this.strikes.push(await this.strike(kind, set, cluster, victims, second));
      } catch (caught) {
        // What does not come to rest is told with all that was done before it.
        lost.push(`${kind} of ${set}: ${caught instanceof Error ? caught.message : String(caught)}`);
        options.say(lost.at(-1) ?? '');
        break;
      }
      options.say(this.toldShortly());
    }

    const failedSends = names.reduce((sum, name) => sum + pulse.failures(name), 0);
    for (const ledger of [plain, order]) await ledger.settle().catch((caught: unknown) => lost.push(String(caught)));
    for (const walker of walkers) await walker.crash();
    return {
      strikes: this.strikes,
      acknowledged: plain.sent.size + order.acknowledgedSends,
      lost,
      storedAgain: plain.progress.storedAgain,
      orderFaults: order.faults,
      failedSends,
      minutes: (performance.now() - this.beganMs) / 60_000,
      ended: this.ended,
      slices: this.slices,
    };
  }

  private async strike(
    kind: FaultKind,
    set: string,
    cluster: Cluster,
    victims: Victims,
    clients: Clients,
  ): Promise<Strike> {
    const { pulse, place } = this;
    const failedBefore = pulse.failures(set);
    const epochBefore = (await victims.view(set))?.epoch ?? 0;
    const notes: string[] = [];
    let fromMs = performance.now();
    // Sends that were under way may still be answered; what counts is that they go on being answered.
    const servesAgain = async (): Promise<void> => {
      const afterMs = fromMs + settleMs;
      await until(`sends to ${set} after ${kind}`, () => pulse.firstAfter(set, afterMs) !== undefined, 60_000);
    };
    const stage: Stage = {
      ...{ cluster, home: place.home, set, victims, network: place.network, tools: place.tools, clients, servesAgain },
      chance: () => this.chance.next(),
      more: (count) => {
        const wanted = pulse.answered(set) + count;
        return until(`more sends to ${set}`, () => pulse.answered(set) >= wanted, 60_000).then(() => undefined);
      },
      note: (what) => void notes.push(what),
    };
    const done = await faults[kind].strike(stage);
    fromMs = done.atMs;
    await done.undo();
    await servesAgain();
    const wholeMs = await victims.whole(set);
    const epoch = (await victims.view(set))?.epoch ?? 0;
    const gap = pulse.longestGap(set, fromMs);
    return {
      ...{ kind, set, wholeMs, epoch, notes },
      fromMs: fromMs - this.beganMs,
      toMs: performance.now() - this.beganMs,
      gapMs: gap.ms,
      gapAtMs: gap.atMs - fromMs,
      sendMs: pulse.longestSend(set, fromMs),
      failed: pulse.failures(set) - failedBefore,
      elections: epoch - epochBefore,
      phases: epoch > epochBefore ? await victims.phases(set) : undefined,
    };
  }

  /** Who ends by itself, because its disk failed or etcd is another one, is started again. */
  private supervise(processes: readonly ClusterProcess[]): void {
    for (const process of processes) {
      process.onDeath = (how) => {
        if (this.over) return;
        this.ended.push(`${process.name} ${how}`);
        setTimeout(() => {
          if (!this.over && process.pid === undefined) process.launch();
        }, againMs);
      };
    }
  }

  /** Messages that nobody receives, until the logs are so long. */
  private async fill(producer: Awaited<ReturnType<Clients['producer']>>, bytes: number): Promise<void> {
    const body = Buffer.alloc(1 << 20, 'cometmq');
    const wanted = Math.ceil((bytes * this.options.sets) / body.byteLength);
    let sent = 0;
    const worker = async (): Promise<void> => {
      while (sent < wanted) {
        sent += 1;
        await producer.send({ topic: 'ballast', body }).catch(() => (sent -= 1));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    this.options.say(`the logs are ${Math.round(bytes / 2 ** 20)} MiB long each`);
  }

  private toldShortly(): string {
    const done = this.strikes.at(-1) as Strike;
    return (
      `${this.strikes.length} ${done.kind} of ${done.set}${done.notes.map((note) => ` (${note})`).join('')}: ` +
      `away ${Math.round(done.gapMs)} ms from ${Math.round(done.gapAtMs)} ms on, ${done.failed} failed, longest send ${Math.round(done.sendMs)} ms, ` +
      `whole after ${Math.round(done.wholeMs)} ms, epoch ${done.epoch}` +
      (done.phases ? `, phases ${phasesText(done.phases)}` : '')
    );
  }
}

/** A client gives up when it is not answered within seconds at its start, which a machine with much else to do may need. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + startMsMax; ;) {
    try {
      return await start();
    } catch (caught) {
      if (performance.now() > endMs) throw caught;
    }
  }
}

function* pidsOf(cluster: Cluster): Iterable<readonly [number, string]> {
  for (const { pid, name } of cluster.processes) if (pid !== undefined) yield [pid, name];
}

/** As proxies choose it. */
function setsOfGroups(names: readonly string[]): (group: string) => string {
  const hashes = names.map(hashText);
  return (group) => names[setOfHash(hashBytes(Buffer.from(group)), hashes)] as string;
}

function phasesText(phases: Readonly<Record<string, number>>): string {
  return Object.entries(phases)
    .map(([name, ms]) => `${name.replace(/Ms$/, '')} ${Math.round(ms)}`)
    .join(' ');
}
