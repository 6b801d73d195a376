import { Code } from '@cometmq/proto';
import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock } from '@cometmq/shared';

import { PublicClient } from './public-client.js';
import { FakeProxy } from './testing/fake-proxy.js';

// Goal: what is sent comes back whole, and refusals keep their code. Method: real gRPC to a front door that is a list.
describe('the small client', () => {
  const door = new FakeProxy();
  let channel: GrpcJsChannel;
  let client: PublicClient;
  const receiving = { group: 'g', messagesMax: 8, waitMs: 50, invisibleMs: 10_000 };

  beforeAll(async () => {
    await door.start();
    channel = new GrpcJsChannel({ address: door.address, clock: systemClock });
    client = new PublicClient({ channel, clock: systemClock, chance: new Prng(1) });
  });
  afterAll(async () => {
    channel.close();
    await door.stop();
  });

  it('sends, receives and acknowledges', async () => {
    const body = Buffer.from([0, 255, 10]);
    const properties = new Map([
      ['k', 'v'],
      ['__proto__', 'harmless'],
    ]);
    const sent = await client.send([
      { topic: 'a', body, tag: 'red', keys: ['k1', 'k2'], properties },
      { topic: 'a', body: Buffer.from('two') },
    ]);
    expect(sent.map(({ offset }) => offset)).toEqual([0, 1]);
    expect(new Set(sent.map(({ messageId }) => messageId)).size).toBe(2);
    for (const { messageId } of sent) expect(messageId).toMatch(/^01[0-9A-F]{32}$/);

    const received = await client.receive({ ...receiving, topic: 'a' });
    expect(received).toHaveLength(2);
    expect(received[0]).toMatchObject({
      topic: 'a',
      tag: 'red',
      keys: ['k1', 'k2'],
      offset: 0,
      attempt: 1,
      plain: true,
    });
    expect(Buffer.from(received[0]?.body ?? [])).toEqual(body);
    expect([...(received[0]?.properties ?? [])].sort()).toEqual([...properties].sort());
    expect(received[0]?.storedMs).toBe(1_700_000_000_500);
    expect(received[1]).toMatchObject({ tag: undefined, keys: [], messageId: sent[1]?.messageId });

    await client.ack('g', 'a', received);
    expect(door.acked).toEqual(sent.map(({ messageId }) => `g a ${messageId}`));
    expect(door.clients).toEqual(new Set([client.clientId]));
  });

  it('waits for a message, finds nothing in the end, or gives the wait up', async () => {
    const waiting = client.receive({ ...receiving, topic: 'b', waitMs: 10_000 });
    await client.send([{ topic: 'b', body: Buffer.from('late') }]);
    expect((await waiting).map(({ body }) => Buffer.from(body).toString())).toEqual(['late']);
    expect(await client.receive({ ...receiving, topic: 'b' })).toEqual([]);
    const abort = new AbortController();
    const givenUp = client.receive({ ...receiving, topic: 'b', waitMs: 10_000, signal: abort.signal });
    abort.abort();
    await expect(givenUp).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(client.receive({ ...receiving, topic: 'b', signal: abort.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('says what the server said', async () => {
    door.refused.set('missing', { code: Code.TOPIC_NOT_FOUND, message: 'no such topic' });
    door.refused.set('slow', { code: Code.PROXY_TIMEOUT, message: '' });
    const send = (topic: string) => client.send([{ topic, body: Buffer.from('x') }]);
    await expect(send('missing')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND', reason: 'no such topic' });
    await expect(send('slow')).rejects.toMatchObject({ code: 'TIMEOUT' });
    const forged = [{ messageId: 'm', receiptHandle: 'forged' }];
    await expect(client.ack('g', 'a', forged)).rejects.toMatchObject({ code: 'INVALID_RECEIPT_HANDLE' });
  });

  it('fails with UNAVAILABLE where nobody listens, and says goodbye where somebody does', async () => {
    await client.leave('g');
    expect(door.gone).toEqual([client.clientId]);
    const nobody = new GrpcJsChannel({ address: '127.0.0.1:1', clock: systemClock });
    const lost = new PublicClient({ channel: nobody, clock: systemClock, chance: new Prng(2), requestMsMax: 1_000 });
    await expect(lost.route('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    nobody.close();
  });
});
