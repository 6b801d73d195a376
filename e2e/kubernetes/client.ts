/**
 * Official Node.js clients at work while things happen around them: they send and consume through the proxies, and ledgers
 * hold every answer. Says how it goes four times a second; on SIGTERM, or after so many answered sends, it stops sending,
 * waits until everything came, and says its verdict.
 */
import * as rocketmq from 'rocketmq-client-nodejs';

import { Clients } from '../support/clients.js';
import { Ledger } from '../support/ledger.js';
import { OrderLedger } from '../support/order-ledger.js';
import { SendBeats } from '../support/send-beats.js';
import type { Errand } from './errand.ts';

const errand = JSON.parse(process.env['ERRAND'] ?? '{}') as Errand;
const { endpoints, user, topics, groups, sendsMax } = errand;
const lanes = 8;
/** Between two sends: so that who consumes keeps up with it, which a set that leaves waits for. */
const pauseMs = errand.pauseMs ?? 100;
/** Messages that are to come later. */
const delayMsMax = 8_000;
const inFlight = 16;
const consumers = 3;
const settleMsMax = 120_000;

async function main(): Promise<void> {
  const clients = new Clients(
    () => Promise.resolve(rocketmq),
    () => ({ endpoints, tls: false, restUrl: '', user: { ...user, adminToken: '' } }),
  );
  if (errand.fill !== undefined) return fill(await clients.producer(), errand.fill);
  const { take: wanted, takeKind = 'normal', hold: held, holdMs = 0 } = errand;
  if (held !== undefined) return hold(await clients.simple(groups.normal, topics.normal), held, holdMs);
  if (wanted !== undefined) return take(await clients.simple(groups[takeKind], topics[takeKind]), wanted);
  const beats = new SendBeats(sendsMax);
  const order = new OrderLedger(topics.fifo, lanes, pauseMs, beats.heard);
  const ledger = new Ledger(topics.normal, pauseMs);
  ledger.send(await clients.producer(), 'p', 4);
  order.send(await clients.producer());
  const later = new Ledger(topics.delayed, pauseMs, delayMsMax);
  later.send(await clients.producer(), 'd', 2);
  const members: ReturnType<typeof order.member>[] = [];
  for (let i = 0; i < consumers; i += 1) {
    ledger.read(await clients.simple(groups.normal, topics.normal));
    later.read(await clients.simple(groups.delayed, topics.delayed));
    members.push(order.member(await clients.simple(groups.fifo, topics.fifo)));
  }
  beats.begin(() => ({ sent: ledger.progress.sent }));
  await beats.over;
  beats.end();
  await Promise.all([ledger, order, later].map((each) => each.settle(settleMsMax)));
  for (const member of members) await member.crash();
  if (order.faults.length > 0) throw new Error(`order: ${order.faults.slice(0, 5).join('; ')}`);
  const { sent, storedAgain } = ledger.progress;
  const all = {
    sent,
    fifoSent: order.acknowledgedSends,
    delayedSent: later.progress.sent,
    failed: beats.failed,
    storedAgain,
  };
  console.log(`balanced ${JSON.stringify(all)}`);
}

/** Sends them all; what fails is sent again, and counts once. */
async function fill(producer: rocketmq.Producer, count: number): Promise<void> {
  let next = 0;
  const dueMs = Date.now() + (errand.fillDueMs ?? 0);
  const one = async (): Promise<void> => {
    for (let number = (next += 1); number <= count; number = next += 1) {
      const body = Buffer.from(`fill-${number}`);
      const message =
        errand.fillDueMs === undefined
          ? { topic: topics.normal, body }
          : { topic: topics.delayed, body, deliveryTimestamp: new Date(dueMs) };
      while (!(await producer.send(message).then(Boolean, () => false)));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  console.log(`balanced ${JSON.stringify({ sent: count })}`);
}

async function take(consumer: rocketmq.SimpleConsumer, count: number): Promise<void> {
  const bodies = new Set<string>();
  const endMs = performance.now() + settleMsMax;
  while (bodies.size < count) {
    if (performance.now() > endMs) throw new Error(`${bodies.size} of ${count} messages have come`);
    for (const message of await consumer.receive(32, 30_000).catch(() => [])) {
      if (
        await consumer.ack(message).then(
          () => true,
          () => false,
        )
      )
        bodies.add(message.body.toString());
    }
  }
  console.log(`balanced ${JSON.stringify({ received: bodies.size })}`);
}

async function hold(consumer: rocketmq.SimpleConsumer, count: number, holdMs: number): Promise<void> {
  const endMs = performance.now() + settleMsMax;
  for (let held = 0; held < count;) {
    if (performance.now() > endMs) throw new Error(`${held} of ${count} messages have come`);
    held += (await consumer.receive(32, holdMs).catch(() => [])).length;
  }
  console.log('holding');
  await new Promise((resolve) => setTimeout(resolve, holdMs));
  console.log(`balanced ${JSON.stringify({ held: count })}`);
}

main().then(
  () => process.exit(0),
  (caught: unknown) => {
    console.log(`failed ${caught instanceof Error ? caught.message : String(caught)}`);
    process.exit(1);
  },
);
