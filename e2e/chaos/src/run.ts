/**
 * Chaos on real processes: official clients send and receive without pause while one fault after the other strikes, and
 * ledgers count every answer. Ends by itself: after the rounds or the time it was given, a healing phase has to come to
 * rest, and then every acknowledged message must have been delivered, in the order of its group.
 */
import { hashBytes, hashText, setOfHash } from '@cometmq/model';
import { Prng } from '@cometmq/shared';

import { Clients } from '../../support/clients.js';
import { freshCluster } from '../../support/cluster.js';
import { Ledger } from '../../support/ledger.js';
import { OrderLedger } from '../../support/order-ledger.js';
import { until } from '../../support/until.js';
import { type FaultKind, strike, Victims } from './faults.js';
import { Pulse } from './pulse.js';

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
  /** Where data and logs are kept; left out: nowhere. */
  readonly folder?: string | undefined;
  readonly say: (line: string) => void;
}

export interface Strike {
  readonly kind: FaultKind;
  readonly set: string;
  /** The longest time without an answered send to the set, as the client sees it. */
  readonly gapMs: number;
  /** Sends to the set that failed for good. */
  readonly failed: number;
  /** Until all members were in sync again, from when the victim was back. */
  readonly wholeMs: number;
  readonly epoch: number;
  /** Of the take-over, as the new leader tells them; undefined: there was none, or it has none to tell. */
  readonly phases: Readonly<Record<string, number>> | undefined;
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
}

/** How long after a fault a gap is still laid at its door. */
const settleMs = 1_500;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { sets, replicas, say } = options;
  const chance = new Prng(options.seed);
  const beganMs = performance.now();
  const { folder } = options;
  const cluster = await freshCluster({ size: { sets, replicas }, ...(folder !== undefined && { folder }) });
  const names = Array.from({ length: sets }, (_, i) => `broker-${i}`);
  const setOf = setsOfGroups(names);
  const pulse = new Pulse();
  const clients = cluster.proxies.map(
    (proxy) =>
      new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: proxy.address, tls: false, restUrl: cluster.restUrl }),
      ),
  );
  const [first, second = first] = clients as [Clients, Clients | undefined];
  const victims = new Victims(cluster, () => chance.next());
  const strikes: Strike[] = [];
  try {
    for (const name of names) await victims.whole(name);
    await first.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 4 });
    await first.rest('POST', '/groups', { name: 'walkers', fifo: true, attemptsMax: 1_000 });
    const plain = new Ledger('plain', options.pauseMs);
    const order = new OrderLedger('steps', options.groups, options.pauseMs, (group, ok) => {
      const set = setOf(`group-${group}`);
      if (ok) pulse.beat(set, performance.now());
      else pulse.failed(set);
    });
    // Everything as the package has it by default. Senders are at the first proxy, which is never killed.
    order.send(await first.producer());
    plain.send(await first.producer(), 'p', options.workers);
    plain.read(await first.simple('auditors', 'plain'));
    plain.read(await second.simple('auditors', 'plain'));
    const walkers = [await first.simple('walkers', 'steps'), await second.simple('walkers', 'steps')].map((consumer) =>
      order.member(consumer),
    );
    await plain.more(50, 'before the first fault');
    await order.more(50, 'before the first fault');

    while (strikes.length < options.strikesMax && performance.now() - beganMs < options.msMax) {
      const kind = options.faults[strikes.length % options.faults.length] as FaultKind;
      const set = names[Math.floor(chance.next() * names.length)] as string;
      const done = await oneStrike(kind, set, victims, pulse);
      strikes.push(done);
      say(
        `${strikes.length} ${kind} of ${set}: away ${Math.round(done.gapMs)} ms, ${done.failed} failed, ` +
          `whole after ${Math.round(done.wholeMs)} ms, epoch ${done.epoch}` +
          (done.phases ? `, phases ${phasesText(done.phases)}` : ''),
      );
    }

    const lost: string[] = [];
    const failedSends = names.reduce((sum, name) => sum + pulse.failures(name), 0);
    for (const ledger of [plain, order]) await ledger.settle().catch((caught: unknown) => lost.push(String(caught)));
    for (const walker of walkers) await walker.crash();
    return {
      strikes,
      acknowledged: plain.sent.size + order.acknowledgedSends,
      lost,
      storedAgain: plain.progress.storedAgain,
      orderFaults: order.faults,
      failedSends,
      minutes: (performance.now() - beganMs) / 60_000,
    };
  } finally {
    await Promise.all(clients.map((made) => made.end().catch(() => undefined)));
    await cluster.end();
  }
}

async function oneStrike(kind: FaultKind, set: string, victims: Victims, pulse: Pulse): Promise<Strike> {
  const failedBefore = pulse.failures(set);
  const epochBefore = (await victims.view(set))?.epoch ?? 0;
  let atMs = 0;
  // Sends that were under way may still be answered; what counts is that they go on being answered.
  const servesAgain = async (): Promise<void> => {
    await until(`sends to ${set} after ${kind}`, () => pulse.firstAfter(set, atMs + settleMs) !== undefined, 60_000);
  };
  const done = await strike(kind, set, victims, servesAgain);
  ({ atMs } = done);
  await done.undo();
  await servesAgain();
  const wholeMs = await victims.whole(set);
  const epoch = (await victims.view(set))?.epoch ?? 0;
  return {
    kind,
    set,
    gapMs: pulse.longestGap(set, atMs),
    failed: pulse.failures(set) - failedBefore,
    wholeMs,
    epoch,
    phases: epoch > epochBefore ? await victims.phases(set) : undefined,
  };
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
