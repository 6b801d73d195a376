/** What clients do in a simulation, and what breaks meanwhile. All of it by chance, from the seed. */
import type { ReceivedMessage } from '@cometmq/client';
import { MqError, sleep } from '@cometmq/shared';

import { breakThings, heal } from './faults.js';
import { Ledger, type Sent } from './ledger.js';
import { endTransaction, sendHalf } from './transactions.js';
import { type SimClient, World, type WorldOptions } from './world.js';

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

const groupsOf: Readonly<Record<string, string>> = {
  orders: 'readers',
  steps: 'ordered',
  later: 'late',
  deals: 'traders',
};
const topics = Object.keys(groupsOf);
/** After the last fault all members are in sync again within this time. */
const wholeMsMax = 60_000;
/** Twice a pass over all that nobody reads, and what is found is asked of the others. */
const scrubMsMax = 180_000;
/** After the last fault all that is left is delivered within this time. */
const settleMsMax = 30 * 60_000;

/** @throws Error that names the seed and what was wrong */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const world = new World(options);
  try {
    return await play(world, options.simMs);
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

  let sending = true;
  let reading = true;
  const running: Promise<void>[] = [];
  // Some seeds are busy; most have more time for faults than for messages.
  const pace = world.chance('pace').pick([1, 8, 20, 40]);
  for (let i = 0; i < 3; i += 1) running.push(produce(world, ledger, `producer ${i}`, pace, () => sending));
  running.push(administer(world, ledger, () => sending));
  for (const topic of topics) {
    for (let i = 0; i < 2; i += 1) running.push(consume(world, ledger, topic, `${topic} consumer ${i}`, () => reading));
  }
  void breakThings(world, ledger, () => sending);
  const endMs = world.clock.nowMs + simMs;
  steps += await world.run(() => world.clock.nowMs >= endMs, simMs + 60_000, 'the clients work');
  sending = false;
  heal(world);
  steps += await world.run(() => world.isWhole, wholeMsMax, 'all members are in the set and in sync');
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
  if (ledger.wrong.length > 0) throw new Error(ledger.wrong.slice(0, 5).join('; '));
  const starts = world.members.reduce((sum, member) => sum + member.starts, 0);
  return {
    seed: world.options.seed,
    hash: world.trace.digest(),
    steps,
    simMs: world.clock.nowMs,
    sent: ledger.acknowledged.size,
    starts,
  };
}

/** What was damaged is made anew, by those who look at what nobody reads; what is being written only where it is read, at a start. */
async function mend(world: World): Promise<number> {
  const { flips, audit } = world;
  let steps = 0;
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

/** What was made is there, what was deleted is not. */
async function topicsAreThere(world: World, ledger: Ledger): Promise<void> {
  const { pairs } = await world.metadata.store.range('topics/');
  for (const [name, isThere] of ledger.topics) {
    const found = pairs.some(({ key }) => key === `topics/${name}`);
    if (found !== isThere)
      ledger.wrong.push(`topic ${name} was ${isThere ? 'made, and is gone' : 'deleted, and is there'}`);
  }
}

async function produce(world: World, ledger: Ledger, name: string, pace: number, goesOn: () => boolean): Promise<void> {
  const simClient = world.client(name);
  const { client, process, chance } = simClient;
  const numbers = new Map<string, number>();
  for (let i = 0; goesOn(); i += 1) {
    const topic = chance.pick(topics);
    // Of one group only one producer sends: else nobody knows their order.
    const messageGroup = topic === 'steps' ? `${name} g${chance.below(3)}` : undefined;
    const number = messageGroup === undefined ? 0 : (numbers.get(messageGroup) ?? 0);
    if (messageGroup !== undefined) numbers.set(messageGroup, number + 1);
    // None is the beginning of another; some fill segments.
    const body = `${name} ${i}.${'x'.repeat(chance.below(8) === 0 ? chance.below(8_000) : 0)}`;
    const label = `${name} ${i}.`;
    const sent: Sent = { topic, body, number, ...(messageGroup !== undefined && { messageGroup }) };
    ledger.sending(sent);
    const from = world.audit.committedEnd;
    const deliveryMs = topic === 'later' ? process.wallMs() + chance.below(20_000) : undefined;
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
          ...(deliveryMs !== undefined && { deliveryMs }),
        },
      ]),
    );
    if (typeof answer !== 'string') {
      ledger.sent(sent);
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
    else if (ended === undefined) ledger.sent(sent);
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
  topic: string,
  name: string,
  goesOn: () => boolean,
): Promise<void> {
  const { client, process, chance } = world.client(name);
  const group = groupsOf[topic] ?? '';
  while (goesOn()) {
    const askedMs = process.monotonicMs();
    const options = {
      group,
      topic,
      messagesMax: 1 + chance.below(16),
      waitMs: chance.below(15_000),
      invisibleMs: 10_000,
    };
    const messages = await answerOf(client.receive(options));
    if (typeof messages === 'string') {
      world.trace.note(`${name}: received nothing: ${messages}`);
      await sleep(process, 20 + chance.below(200));
      continue;
    }
    const leaseEndMs = askedMs + options.invisibleMs;
    for (const message of messages) {
      ledger.received(group, message, askedMs);
      world.trace.note(`${name}: received ${textOf(message)}`);
    }
    for (const message of messages) {
      if (chance.below(12) === 0) continue; // It crashed over it: the message comes again.
      const answer = await answerOf(client.ack(group, topic, [message]));
      // One that comes after its lease has ended may count or not.
      if (answer === undefined && process.monotonicMs() < leaseEndMs)
        ledger.done(group, message, process.monotonicMs());
      world.trace.note(`${name}: acknowledged ${textOf(message)}: ${String(answer ?? 'OK')}`);
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
