/**
 * Runs in a pod: the official Node.js client sends and consumes through the proxies' service while pods die around it,
 * and a ledger holds every answer. Ends with 0 when the ledger is balanced.
 */
import * as rocketmq from 'rocketmq-client-nodejs';

import { Clients } from '../support/clients.js';
import { Ledger } from '../support/ledger.js';

const { ENDPOINT: endpoints = '', REST: restUrl = '', MESSAGES = '' } = process.env;
const wanted = Number(MESSAGES);
const topic = 'kubernetes';
const lineEvery = 50;

async function main(): Promise<void> {
  const clients = new Clients(
    () => Promise.resolve(rocketmq),
    () => ({ endpoints, tls: false, restUrl }),
  );
  await clients.rest('POST', '/topics', { name: topic });
  await clients.rest('POST', '/groups', { name: 'auditors' });
  const ledger = new Ledger(topic, 20);
  ledger.send(await clients.producer({ requestTimeout: 3_000 }), 'p', 4);
  ledger.read(await clients.simple('auditors', topic));
  let gapMs = 0;
  let lastMs = performance.now();
  for (let told = 0, seen = 0; ledger.progress.sent < wanted;) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const { sent } = ledger.progress;
    const nowMs = performance.now();
    if (sent > seen) {
      gapMs = Math.max(gapMs, nowMs - lastMs);
      lastMs = nowMs;
      seen = sent;
    }
    if (sent >= told + lineEvery) {
      told = sent;
      console.log(`sent ${sent}`);
    }
  }
  await ledger.settle(120_000);
  console.log(`balanced ${JSON.stringify({ ...ledger.progress, longestGapMs: Math.round(gapMs) })}`);
  await clients.end();
}

main().then(
  () => process.exit(0),
  (caught: unknown) => {
    console.log(`failed ${caught instanceof Error ? caught.message : String(caught)}`);
    process.exit(1);
  },
);
