// Goal: no limit meant for abuse meets an official client at work. Method: each language's newest client sends 10,000
// messages and takes them again as fast as it can; every one comes once, and no connection is ended. Clients on gRPC's C
// core (Python here; C++ and PHP are alike) answer each piece of data with window updates of a few bytes.
import { join } from 'node:path';

import { clients, nameOf } from '../conformance/src/clients.js';
import { inTurn } from '../conformance/src/in-turn.js';
import type { Driver } from '../conformance/src/calls.js';
import { cache, MissingToolchain } from '../conformance/src/toolchains/toolchain.js';
import { Standalone } from '../support/standalone.js';

const messages = 10_000;
const sendsAtOnce = 250;
const receiversAtOnce = 20;
/** Longer than all of it takes: what comes twice has come twice, and was not lost on the way. */
const invisibleMs = 60_000;

const official = clients.filter((client) => client.newest && client.package !== 'by its messages');

let broker: Standalone;
beforeAll(async () => {
  broker = await new Standalone().start();
});
afterAll(() => broker.stop());

/** How often connections of clients were ended so far, by the reasons that were met. */
async function ended(): Promise<Record<string, number>> {
  const page = await (await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`)).text();
  const found = [...page.matchAll(/^rocketmq_proxy_connections_ended_total\{.*reason="(\w+)".*\} (\d+)/gm)];
  expect(found.length).toBeGreaterThanOrEqual(6);
  const counts: Record<string, number> = {};
  for (const [, reason = '', count] of found) if (count !== '0') counts[reason] = Number(count);
  return counts;
}

async function send(driver: Driver, topic: string): Promise<void> {
  await driver.call('producer', { as: 'producer', topics: [topic] });
  for (let from = 0; from < messages; from += sendsAtOnce) {
    const batch = Array.from({ length: sendsAtOnce }, (_, i) => ({
      topic,
      body: Buffer.from(`message ${from + i}`).toString('base64'),
    }));
    await driver.call('send', { as: 'producer', messages: batch, async: true });
  }
}

/** Bodies, and how often each came. */
async function drain(driver: Driver, topic: string): Promise<Map<string, number>> {
  await driver.call('simple', {
    as: 'consumer',
    group: `${topic}-readers`,
    awaitMs: 5_000,
    subscriptions: [{ topic, filter: '*', kind: 'tag' }],
  });
  const seen = new Map<string, number>();
  const work = async (): Promise<void> => {
    while (seen.size < messages) {
      const { messages: received } = await driver.call('receive', { as: 'consumer', max: 32, invisibleMs });
      for (const { body } of received) seen.set(body, (seen.get(body) ?? 0) + 1);
      await Promise.all(received.map(({ ref }) => driver.call('ack', { as: 'consumer', ref })));
    }
  };
  const workers = Array.from({ length: receiversAtOnce }, (_, i) => i);
  await inTurn(workers, receiversAtOnce, work);
  return seen;
}

it.each(official.map((client) => ({ name: nameOf(client), client })))(
  '$name takes 10,000 messages, each once, and stays connected',
  async ({ client }) => {
    const topic = `full-speed-${client.language.toLowerCase().replaceAll(/[^a-z]/g, '')}`;
    const created = await fetch(`http://127.0.0.1:${broker.adminPort}/api/v1/topics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: topic }),
    });
    expect(created.status).toBe(201);
    const target = { endpoints: broker.endpoints, tls: false, caFile: '' };
    let driver: Driver;
    try {
      driver = await client.start(target, join(cache, 'logs', `${topic}.log`));
    } catch (caught) {
      if (!(caught instanceof MissingToolchain) || process.env['CI'] === 'true') throw caught;
      console.warn(`${nameOf(client)} is left out: ${caught.message}`);
      return;
    }
    try {
      await send(driver, topic);
      const seen = await drain(driver, topic);
      expect(seen.size).toBe(messages);
      expect([...seen.values()].filter((count) => count > 1)).toEqual([]);
    } finally {
      await driver.stop();
    }
    expect(await ended()).toEqual({});
  },
  600_000,
);
