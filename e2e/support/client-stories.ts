/**
 * What the official Node.js client must be able to do, wherever it connects: told once, played against the process that
 * is everything and against the processes apart, in plain text and under TLS.
 */
import type { MessageView } from 'rocketmq-client-nodejs';

import { bodiesOf, receive, type Clients } from './clients.js';
import { until } from './until.js';

/** For the proxies: this client's push consumer ends only after the last of its polls has. */
export const shortPolls = '--poll-ms-max=1000';

/** @param mark part of all names, so that two runs on one system do not meet */
export function clientStories(clients: Clients, mark: string): void {
  const named = (name: string): string => `${mark}-${name}`;
  afterEach(() => clients.end());

  it('sends, receives and acknowledges, and gets nothing twice', async () => {
    const topic = named('plain');
    const sender = await clients.producer();
    const receipts = [];
    for (let i = 0; i < 50; i += 1) {
      receipts.push(
        await sender.send({
          topic,
          tag: 'T',
          keys: [`key-${i}`, 'all'],
          properties: new Map([['colour', 'grün']]),
          body: Buffer.from(`message ${i}`),
        }),
      );
    }
    expect(new Set(receipts.map(({ messageId }) => messageId)).size).toBe(50);
    const reader = await clients.simple(named('plain-readers'), topic);
    const messages = await receive(reader, 50);
    expect(bodiesOf(messages)).toEqual(Array.from({ length: 50 }, (_, i) => `message ${i}`).sort());
    expect(messages[0]?.properties.get('colour')).toBe('grün');
    expect(messages[0]?.tag).toBe('T');
    expect(messages[0]?.keys).toContain('all');
    expect(messages[0]?.deliveryAttempt).toBe(1);
    expect(messages.map(({ messageId }) => messageId).sort()).toEqual(
      receipts.map(({ messageId }) => messageId).sort(),
    );
    for (const message of messages) await reader.ack(message);
    expect(await reader.receive(32, 15_000)).toEqual([]);
  });

  it('carries bodies of megabytes, many at a time', async () => {
    const topic = named('large');
    const sender = await clients.producer({ requestTimeout: 20_000 });
    const bodies = Array.from({ length: 12 }, (_, i) => Buffer.alloc(3_000_000, `large ${i} `));
    await Promise.all(bodies.map((body) => sender.send({ topic, body })));
    const reader = await clients.simple(named('large-readers'), topic);
    const messages = await receive(reader, bodies.length);
    expect(messages.map(({ body }) => body.length)).toEqual(bodies.map(({ length }) => length));
    expect(new Set(messages.map(({ body }) => body.toString('latin1', 0, 9))).size).toBe(bodies.length);
    for (const message of messages) await reader.ack(message);
  });

  it('delivers only the tags asked for', async () => {
    const topic = named('tagged');
    const sender = await clients.producer();
    for (const tag of ['A', 'B', 'C', 'A']) await sender.send({ topic, tag, body: Buffer.from(tag) });
    const reader = await clients.simple(named('tagged-readers'), topic, 'A || C');
    expect(bodiesOf(await receive(reader, 3))).toEqual(['A', 'A', 'C']);
  });

  it('delivers again what was given back, with the next attempt', async () => {
    const topic = named('again');
    const sender = await clients.producer();
    await sender.send({ topic, body: Buffer.from('x') });
    const reader = await clients.simple(named('again-readers'), topic);
    const [first] = await receive(reader, 1);
    await reader.changeInvisibleDuration(first as MessageView, 1_000);
    const [second] = await receive(reader, 1);
    expect(second?.messageId).toBe(first?.messageId);
    expect(second?.deliveryAttempt).toBe(2);
    await reader.ack(second as MessageView);
  });

  it('pushes messages to a listener, and again those it failed', async () => {
    const topic = named('pushed');
    const sender = await clients.producer();
    const seen = new Map<string, number>();
    await sender.send({ topic, body: Buffer.from('first') });
    await clients.push(named('pushed-readers'), topic, (message) => {
      const body = message.body.toString();
      seen.set(body, (seen.get(body) ?? 0) + 1);
      return body !== 'bad' || message.deliveryAttempt !== 1;
    });
    for (const body of ['good', 'bad']) await sender.send({ topic, body: Buffer.from(body) });
    await until(
      'all three, the failed one twice',
      () => seen.get('first') === 1 && seen.get('good') === 1 && seen.get('bad') === 2,
    );
  });

  it('moves what was tried as often as allowed to the dead-letter topic, whole', async () => {
    const topic = named('mortal');
    const group = named('mortal-readers');
    await clients.rest('POST', '/groups', {
      name: group,
      attemptsMax: 3,
      retryPolicy: { kind: 'customized', nextMs: [100] },
    });
    const sender = await clients.producer();
    const { messageId } = await sender.send({
      topic,
      tag: 'T',
      keys: ['k'],
      properties: new Map([['colour', 'grün']]),
      body: Buffer.from('doomed'),
    });
    const attempts: (number | undefined)[] = [];
    await clients.push(group, topic, (message) => {
      attempts.push(message.deliveryAttempt);
      return false;
    });
    await until('three attempts', () => attempts.length >= 3);
    const undertaker = await clients.simple(named('undertakers'), `%DLQ%${group}`);
    const [dead] = await receive(undertaker, 1);
    expect(dead?.body.toString()).toBe('doomed');
    expect(dead?.messageId).toBe(messageId);
    expect(dead?.tag).toBe('T');
    expect(dead?.keys).toEqual(['k']);
    expect(dead?.properties.get('colour')).toBe('grün');
    await undertaker.ack(dead as MessageView);
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('tells an empty body apart with the protocol’s code', async () => {
    const sender = await clients.producer();
    await expect(sender.send({ topic: named('plain'), body: Buffer.alloc(0) })).rejects.toThrow(/41302|body/i);
  });
}
