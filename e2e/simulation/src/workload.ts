/** What clients do in a simulation, and what breaks meanwhile. All of it by chance, from the seed. */
import type { ReceivedMessage } from '@cometmq/client';
import { deadLetterTopic, groupName } from '@cometmq/model';
import { MqError, sleep } from '@cometmq/shared';

import { drawnBy } from './drawn-ids.js';
import { breakThings, heal } from './faults.js';
import { Ledger, type Reading, type Sent } from './ledger.js';
import { LiteSubscription } from './lite.js';
import type { Workload } from './kinds.js';
import { type Plan, planOf } from './plan.js';
import { endTransaction, sendHalf } from './transactions.js';
import { differsFromLog } from './rebuilt.js';
import { brokerSet, type Held, type SimClient, World, type WorldOptions } from './world.js';

export interface SimulationOptions extends WorldOptions {
  /** How long clients send while things break, in simulated time. */
  readonly simMs: number;
}

export interface Outcome {
  readonly seed: number;
  /** Of all that happened: the same for the same seed. */
  readonly hash: string;
  readonly steps: number;
  readonly simMs: number;
  readonly sent: number;
  readonly starts: number;
}

const usual = { isOrderly: false, attemptsMax: 1_000, invisibleMs: 10_000 };
/** Who reads what. */
const readings: Readonly<Record<Workload, Reading>> = {
  orders: { ...usual, group: 'readers' },
  steps: { ...usual, group: 'ordered', isOrderly: true },
  later: { ...usual, group: 'late' },
  deals: { ...usual, group: 'traders' },
  sessions: { ...usual, group: 'agents', isOrderly: true },
  risky: { ...usual, group: 'careful', attemptsMax: 2 },
};
const careful = readings.risky;
const deadLetters = deadLetterTopic(groupName(careful.group));
const producers = ['producer 0', 'producer 1', 'producer 2'];
const liteTopics = producers.flatMap((name) => [0, 1].map((i) => liteTopicOf(name, i)));
/** After the last fault all members are in sync again within this time. */
const wholeMsMax = 60_000;
/** What was asked for is over, and given back. */
const quietMs = 3_000;
/** Twice a pass over all that nobody reads, and what is found is asked of the others. */
const scrubMsMax = 180_000;
/** After the last fault all that is left is delivered within this time. */
const settleMsMax = 30 * 60_000;

/** @throws Error that names the seed and what was wrong */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const world = new World(options);
  try {
    return await drawnBy(world.chance('ids'), () => play(world, options.simMs));
  } catch (caught) {
    const says = world.members.map((member) => `\n  ${member.place}: ${member.says()}`).join('');
    const what = String((caught as Error).message);
    throw new Error(`seed ${options.seed} at ${world.clock.nowMs.toFixed(0)} ms: ${what}${says}`, { cause: caught });
  }
}

async function play(world: World, simMs: number): Promise<Outcome> {
  const ledger = new Ledger();
  let started = false;
  let steps = 0;
  void world.start().then(
    () => (started = true),
    (caught: unknown) => world.failures.push(`the world did not start: ${String(caught)}`),
  );
  steps += await world.run(() => started, 120_000, 'the world starts');

  // Who leads holds more than who waits for a leader.
  steps += await world.run(() => world.isWhole, wholeMsMax, 'all members are in the set and in sync');
  steps += await quiet(world);
  const before = world.held;

  let sending = true;
  let reading = true;
  const running: Promise<void>[] = [];
  const plan = planOf(world.options.seed, world.chance('plan'), world.options.hasAll);
  world.trace.note('plan', plan);
  for (const name of producers.slice(0, plan.producers))
    running.push(produce(world, ledger, name, plan, () => sending));
  if (plan.administers) running.push(administer(world, ledger, () => sending));
  for (const topic of plan.workloads) {
    for (let i = 0; i < plan.consumers; i += 1)
      running.push(consume(world, ledger, topic, `${topic} consumer ${i}`, () => reading));
  }
  if (plan.workloads.includes('risky')) running.push(bury(world, ledger, () => reading));
  void breakThings(world, plan, ledger, () => sending);
  const endMs = world.clock.nowMs + simMs;
  steps += await world.run(() => world.clock.nowMs >= endMs, simMs + 60_000, 'the clients work');
  sending = false;
  heal(world);
  steps += await world.run(() => world.isWhole, wholeMsMax, 'all members are in the set and in sync');
  world.wholeWallMs = world.wallMs;
  steps += await mend(world);
  const { missing } = ledger;
  try {
    steps += await world.run(() => missing.size === 0, settleMsMax, 'every acknowledged message is delivered');
  } catch (caught) {
    throw new Error(
      `${(caught as Error).message} (${missing.size} of ${ledger.acknowledged.size} are missing: ` +
        `${[...missing]
          .slice(0, 5)
          .map((body) => body.slice(0, 40))
          .join(', ')})`,
      { cause: caught },
    );
  }
  // A backup that was brought back knows less than what was made since; then only what logs know came back.
  if (!world.metadata.wasSetBack) await topicsAreThere(world, ledger);
  reading = false;
  let ended = false;
  void Promise.all(running).then(() => (ended = true));
  steps += await world.run(() => ended, 300_000, 'the clients end');
  steps += await quiet(world);
  const after = await leastHeld(world);
  steps += after.steps;
  nothingStays(before, after.held, ledger);
  await statesAreOfTheLog(world, ledger);
  if (ledger.wrong.length > 0) throw new Error(ledger.wrong.slice(0, 5).join('; '));
  const starts = world.members.reduce((sum, member) => sum + member.starts, 0);
  return {
    seed: world.options.seed,
    hash: world.trace.digest(world.audit.bytesOf(0, world.audit.committedEnd)),
    steps,
    simMs: world.clock.nowMs,
    sent: ledger.acknowledged.size,
    starts,
  };
}

/** What was damaged is made anew, by those who look at what nobody reads; what is being written only where it is read, at a start. */
async function mend(world: World): Promise<number> {
  const { flips, audit } = world;
  let steps = await readAgain(world);
  if (flips.damaged(audit) === undefined) return steps;
  const isMended = (): boolean => flips.damaged(audit) === undefined;
  const scrubbed = world.clock.nowMs + scrubMsMax;
  steps += await world.run(() => isMended() || world.clock.nowMs > scrubbed, scrubMsMax + 60_000, 'a scrub is over');
  const damaged = flips.damaged(audit);
  if (damaged === undefined) return steps;
  if (!flips.areNewest(damaged)) throw new Error(`damage of ${damaged.place} was not mended: ${flips.says()}`);
  world.trace.note(`${damaged.place} starts again, as its newest segment is damaged`);
  for (const member of world.members.filter((each) => each === damaged)) {
    member.end(false);
    world.onEnded(member);
  }
  steps += await world.run(() => isMended() && world.isWhole, wholeMsMax, 'what was damaged is made anew at a start');
  return steps;
}

/** Whose other files were damaged reads them at its next start. */
async function readAgain(world: World): Promise<number> {
  const hurt = world.members.filter(({ place }) => world.fileFlips.isHurt(place));
  let steps = 0;
  for (const member of hurt) {
    world.trace.note(`${member.place} starts again, as files of it were damaged`);
    member.end(false);
    world.onEnded(member);
    steps += await world.run(() => world.isWhole, wholeMsMax, 'what was damaged is made anew at a start');
    world.fileFlips.isWell(member.place);
  }
  return steps;
}

/** Nobody asks for anything. */
function quiet(world: World): Promise<number> {
  const endMs = world.clock.nowMs + quietMs;
  return world.run(() => world.clock.nowMs >= endMs, 2 * quietMs, 'nobody asks for anything');
}

/** The fewest of each in two seconds: what is renewed and asked from time to time is not what stays. */
async function leastHeld(world: World): Promise<{ readonly held: Held; readonly steps: number }> {
  let [held, steps] = [world.held, 0];
  for (let look = 0; look < 20; look += 1) {
    const atMs = world.clock.nowMs + 100;
    steps += await world.run(() => world.clock.nowMs >= atMs, quietMs, 'nobody asks for anything');
    const now = world.held;
    held = {
      timers: Math.min(held.timers, now.timers),
      calls: Math.min(held.calls, now.calls),
      polls: Math.min(held.polls, now.polls),
    };
  }
  return { held, steps };
}

/** Timers, calls and polls that came with clients went with them; a few of those at any time are of the moment. */
function nothingStays(before: Held, after: Held, ledger: Ledger): void {
  for (const what of ['timers', 'calls', 'polls'] as const) {
    if (after[what] <= before[what] * 1.1 + 3) continue;
    ledger.wrong.push(
      `${after[what]} ${what} are left where nobody asks for anything, before there were ${before[what]}`,
    );
  }
}

/** What members keep of their state is what the log comes to. */
async function statesAreOfTheLog(world: World, ledger: Ledger): Promise<void> {
  for (const { place, disk } of world.members) {
    const difference = await differsFromLog(disk, brokerSet, world.clock.process('rebuilding'), world.audit);
    if (difference !== undefined) ledger.wrong.push(`${place} has another state than its log comes to: ${difference}`);
  }
}

/** What was made is there, what was deleted is not. */
async function topicsAreThere(world: World, ledger: Ledger): Promise<void> {
  const { pairs } = await world.metadata.store.range('topics/');
  for (const [name, isThere] of ledger.topics) {
    const found = pairs.some(({ key }) => key === `topics/${name}`);
    if (found !== isThere)
      ledger.wrong.push(`topic ${name} was ${isThere ? 'made, and is gone' : 'deleted, and is there'}`);
  }
}

/** Letters, digits, "-" and "_". */
function liteTopicOf(producer: string, i: number): string {
  return `${producer.replace(' ', '-')}_${i}`;
}

async function produce(world: World, ledger: Ledger, name: string, plan: Plan, goesOn: () => boolean): Promise<void> {
  const simClient = world.client(name);
  const { client, process, chance } = simClient;
  const { pace } = plan;
  const numbers = new Map<string, number>();
  for (let i = 0; goesOn(); i += 1) {
    const topic = chance.pick(plan.workloads);
    // Of one group only one producer sends: else nobody knows their order.
    const messageGroup = topic === 'steps' ? `${name} g${chance.below(3)}` : undefined;
    const liteTopic = topic === 'sessions' ? liteTopicOf(name, chance.below(2)) : undefined;
    const lane = messageGroup ?? liteTopic ?? '';
    const number = numbers.get(lane) ?? 0;
    numbers.set(lane, number + 1);
    // None is the beginning of another; some fill segments.
    const body = `${name} ${i}.${'x'.repeat(chance.below(8) === 0 ? chance.below(8_000) : 0)}`;
    const label = `${name} ${i}.`;
    const deliveryMs = topic === 'later' ? process.wallMs() + chance.below(20_000) : undefined;
    const sent: Sent = {
      ...{ topic, body, number, beganMs: process.monotonicMs() },
      ...(messageGroup !== undefined && { messageGroup }),
      ...(liteTopic !== undefined && { liteTopic }),
      ...(deliveryMs !== undefined && { dueMs: deliveryMs }),
      isPoison: topic === 'risky' && chance.below(6) === 0,
    };
    ledger.sending(sent);
    const from = world.audit.committedEnd;
    if (topic === 'deals') {
      await trade(world, ledger, simClient, sent, label);
      await sleep(process, pace * chance.below(60));
      continue;
    }
    const answer = await answerOf(
      client.send([
        {
          topic,
          body: Buffer.from(body),
          ...(messageGroup !== undefined && { messageGroup }),
          ...(liteTopic !== undefined && { liteTopic }),
          ...(deliveryMs !== undefined && { deliveryMs }),
        },
      ]),
    );
    if (typeof answer !== 'string') {
      ledger.sent(sent);
      world.tally.acknowledged(topic);
      if (!world.audit.holds(label, from)) ledger.wrong.push(`"${label}" was acknowledged, and is not committed`);
    }
    world.trace.note(
      `${name}: sent "${label}" to ${topic}: ${typeof answer === 'string' ? answer : `offset ${answer[0]?.offset}`}`,
    );
    await sleep(process, chance.below(chance.below(10) === 0 ? 1_000 : pace * 60));
  }
}

/** Half a message, and what becomes of it. */
async function trade(world: World, ledger: Ledger, client: SimClient, sent: Sent, label: string): Promise<void> {
  const { chance } = client;
  const from = world.audit.committedEnd;
  const half = await answerOf(sendHalf(client, sent));
  if (typeof half !== 'string' && !world.audit.holds(label, from)) {
    ledger.wrong.push(`half of "${label}" was acknowledged, and is not committed`);
  }
  const rolledBack = chance.below(3) === 0;
  let ended: string | undefined = typeof half === 'string' ? half : undefined;
  if (typeof half !== 'string') {
    // Asked once; who does not hear what became of it does not know.
    ended = (await answerOf(endTransaction(client, sent.topic, half, rolledBack))) ?? undefined;
    if (ended === undefined && rolledBack) ledger.rolledBack(sent);
    else if (ended === undefined) {
      ledger.sent(sent);
      world.tally.acknowledged('deals');
    }
  }
  world.trace.note(`${client.process.name}: ${rolledBack ? 'rolled back' : 'committed'} "${label}": ${ended ?? 'OK'}`);
}

/** Topics come, and stay. */
async function administer(world: World, ledger: Ledger, goesOn: () => boolean): Promise<void> {
  const { names, process, chance } = world.administrator();
  // What a backup knows less, nobody may make again: the ids would mean something else (a broker refuses such metadata).
  for (let i = 0; goesOn() && !world.metadata.wasSetBack; i += 1) {
    const name = `made-${i}`;
    world.metadata.isChanging = true;
    const made = await answerOf(names.createTopic({ name, writeQueues: 1, readQueues: 1 }));
    const isThere = typeof made !== 'string';
    world.trace.note(`administrator: ${name}: ${isThere ? 'made' : made}`);
    if (isThere && chance.below(3) === 0) {
      const deleted = await answerOf(names.deleteTopic(name));
      if (deleted === undefined) ledger.topics.set(name, false);
    } else if (isThere) ledger.topics.set(name, true);
    world.metadata.isChanging = false;
    await sleep(process, chance.below(8_000));
  }
}

async function consume(
  world: World,
  ledger: Ledger,
  topic: Workload,
  name: string,
  goesOn: () => boolean,
): Promise<void> {
  const simClient = world.client(name);
  const { client, process, chance } = simClient;
  const reading = readings[topic];
  const { group, invisibleMs } = reading;
  const subscription = topic === 'sessions' && new LiteSubscription(simClient, group, topic, liteTopics);
  while (goesOn()) {
    if (subscription) await answerOf(subscription.keep());
    const askedMs = process.monotonicMs();
    const { epochs } = world.audit;
    const options = { group, topic, messagesMax: 1 + chance.below(16), waitMs: chance.below(15_000), invisibleMs };
    const messages = await answerOf(client.receive(options));
    if (typeof messages === 'string') {
      world.trace.note(`${name}: received nothing: ${messages}`);
      await sleep(process, 20 + chance.below(200));
      continue;
    }
    const leaseEndMs = askedMs + options.invisibleMs;
    for (const message of messages) {
      ledger.received(reading, message, askedMs, process.monotonicMs(), world.circumstances, epochs);
      world.trace.note(`${name}: received ${textOf(message)}`);
    }
    for (const message of messages) {
      if (ledger.isPoison(message) || chance.below(12) === 0) continue; // It crashed over it: the message comes again.
      const answer = await answerOf(client.ack(group, topic, [message]));
      // One that comes after its lease has ended may count or not.
      if (answer === undefined && process.monotonicMs() < leaseEndMs)
        ledger.done(group, message, process.monotonicMs());
      world.trace.note(`${name}: acknowledged ${textOf(message)}: ${String(answer ?? 'OK')}`);
    }
  }
}

/** Takes the dead letters of a group. */
async function bury(world: World, ledger: Ledger, goesOn: () => boolean): Promise<void> {
  const { client, process, chance } = world.client('undertaker');
  const options = { group: 'undertakers', topic: deadLetters, messagesMax: 16, invisibleMs: careful.invisibleMs };
  while (goesOn()) {
    const messages = await answerOf(client.receive({ ...options, waitMs: chance.below(15_000) }));
    // There is no such topic before the first of them.
    if (typeof messages === 'string') await sleep(process, 500);
    else if (messages.length > 0) {
      for (const message of messages) {
        ledger.deadLetter(careful, message, process.monotonicMs(), world.circumstances);
        world.trace.note(`undertaker: received ${textOf(message)}`);
      }
      await answerOf(client.ack(options.group, deadLetters, messages));
    }
  }
}

const textOf = ({ body, queueId, offset, attempt }: ReceivedMessage): string =>
  `"${Buffer.from(body).toString().split('.', 1)[0]}" at ${queueId}/${offset}, attempt ${attempt}`;

/** The answer, or the code of why there is none. */
async function answerOf<T>(asked: Promise<T>): Promise<T | string> {
  try {
    return await asked;
  } catch (caught) {
    if (caught instanceof MqError) return caught.code;
    throw caught;
  }
}
