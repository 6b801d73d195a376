/**
 * Official Node.js clients at work while things happen around them: they send and consume through the proxies, and ledgers
 * hold every answer. Says how it goes four times a second; on SIGTERM, or after so many answered sends, it stops sending,
 * waits until everything came, and says its verdict.
 */
import * as rocketmq from 'rocketmq-client-nodejs';

import { Clients } from '../support/clients.js';
import { Ledger } from '../support/ledger.js';
import { OrderLedger } from '../support/order-ledger.js';
import type { Errand } from './errand.ts';

const { endpoints, user, topics, groups, sendsMax } = JSON.parse(process.env['ERRAND'] ?? '{}') as Errand;
const lanes = 8;
/** Between two sends: so that who consumes keeps up with it, which a set that leaves waits for. */
const pauseMs = 100;
const consumers = 3;
const beatMs = 250;
const settleMsMax = 120_000;

async function main(): Promise<void> {
  const clients = new Clients(
    () => Promise.resolve(rocketmq),
    () => ({ endpoints, tls: false, restUrl: '', user: { ...user, adminToken: '' } }),
  );
  let [answered, failed, lastMs, gapMs, why] = [0, 0, performance.now(), 0, ''];
  let enough: () => void;
  const over = new Promise<void>((resolve) => (enough = resolve));
  process.once('SIGTERM', () => enough());
  const order = new OrderLedger(topics.fifo, lanes, pauseMs, (_lane, acknowledged, _tookMs, problem) => {
    if (!acknowledged) {
      failed += 1;
      why = String(problem);
      return;
    }
    const nowMs = performance.now();
    gapMs = Math.max(gapMs, nowMs - lastMs);
    lastMs = nowMs;
    answered += 1;
    if (answered === sendsMax) enough();
  });
  const ledger = new Ledger(topics.normal, pauseMs);
  ledger.send(await clients.producer(), 'p', 4);
  order.send(await clients.producer());
  const members: ReturnType<typeof order.member>[] = [];
  for (let i = 0; i < consumers; i += 1) {
    ledger.read(await clients.simple(groups.normal, topics.normal));
    members.push(order.member(await clients.simple(groups.fifo, topics.fifo)));
  }
  const beats = setInterval(() => {
    const openMs = performance.now() - lastMs;
    const beat = { answered, failed, gapMs: Math.round(Math.max(gapMs, openMs)), sent: ledger.progress.sent };
    console.log(JSON.stringify({ ...beat, ...(why !== '' && { why }) }));
    [gapMs, why] = [0, ''];
  }, beatMs);
  await over;
  clearInterval(beats);
  await Promise.all([ledger.settle(settleMsMax), order.settle(settleMsMax)]);
  for (const member of members) await member.crash();
  if (order.faults.length > 0) throw new Error(`order: ${order.faults.slice(0, 5).join('; ')}`);
  const { sent, storedAgain } = ledger.progress;
  console.log(`balanced ${JSON.stringify({ sent, fifoSent: order.acknowledgedSends, failed, storedAgain })}`);
}

main().then(
  () => process.exit(0),
  (caught: unknown) => {
    console.log(`failed ${caught instanceof Error ? caught.message : String(caught)}`);
    process.exit(1);
  },
);
