/**
 * Runs in a pod: official Node.js clients send and consume through the proxies' service while pods die around them, and
 * ledgers hold every answer. Says how it goes four times a second; on SIGTERM it stops sending, waits until everything
 * came, and says its verdict.
 */
import * as rocketmq from 'rocketmq-client-nodejs';

import { Clients } from '../support/clients.js';
import { Ledger } from '../support/ledger.js';
import { OrderLedger } from '../support/order-ledger.js';

const { ENDPOINT: endpoints = '', REST: restUrl = '', RUN: run = '' } = process.env;
const topics = { normal: `normal-${run}`, fifo: `fifo-${run}` } as const;
const lanes = 8;
const beatMs = 250;
const settleMsMax = 120_000;

async function main(): Promise<void> {
  const clients = new Clients(
    () => Promise.resolve(rocketmq),
    () => ({ endpoints, tls: false, restUrl }),
  );
  await clients.rest('POST', '/topics', { name: topics.normal });
  await clients.rest('POST', '/topics', { name: topics.fifo, type: 'fifo' });
  await clients.rest('POST', '/groups', { name: 'auditors' });
  await clients.rest('POST', '/groups', { name: 'orderly', fifo: true });
  let [answered, failed, lastMs, gapMs] = [0, 0, performance.now(), 0];
  const order = new OrderLedger(topics.fifo, lanes, 10, (_lane, acknowledged) => {
    if (!acknowledged) {
      failed += 1;
      return;
    }
    const nowMs = performance.now();
    gapMs = Math.max(gapMs, nowMs - lastMs);
    lastMs = nowMs;
    answered += 1;
  });
  const ledger = new Ledger(topics.normal, 20);
  ledger.send(await clients.producer(), 'p', 4);
  ledger.read(await clients.simple('auditors', topics.normal));
  order.send(await clients.producer());
  const member = order.member(await clients.simple('orderly', topics.fifo));
  const beats = setInterval(() => {
    const openMs = performance.now() - lastMs;
    console.log(
      JSON.stringify({ answered, failed, gapMs: Math.round(Math.max(gapMs, openMs)), sent: ledger.progress.sent }),
    );
    gapMs = 0;
  }, beatMs);
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  clearInterval(beats);
  await Promise.all([ledger.settle(settleMsMax), order.settle(settleMsMax)]);
  await member.crash();
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
