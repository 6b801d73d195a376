// Goal: a fold that fails ends the process at once, whoever caused it, with an exit code and a line that say so, and what
// was acknowledged is there after the next start. Method: the real program with one fold that fails, a kind of record each.
import type { PublicClient, ReceiveOptions } from '@cometmq/client';

import { createTopic } from '../support/admin.js';
import { publicClient } from '../support/public-client.js';
import { Standalone } from '../support/standalone.js';

/** What sysexits.h calls EX_SOFTWARE. */
const programmingErrorExitCode = 70;

const kept: ReceiveOptions = { group: 'readers', topic: 'kept', messagesMax: 1, waitMs: 20_000, invisibleMs: 10_000 };

/** What makes the record, and must not be done: by a receive, by acknowledgements that gather, by a timer. */
const steps: Readonly<Record<string, (client: PublicClient) => Promise<boolean>>> = {
  delivery: async (client) => (await client.receive(kept)).length > 0, // Polls that wait may be told of nothing.
  ack: async (client) => {
    await client.ack(kept.group, kept.topic, await client.receive(kept));
    return true;
  },
  reference: async (client) => {
    await client.send([{ topic: 'later', body: Buffer.from('x'), deliveryMs: Date.now() + 300 }]);
    return false; // It was taken; that it is due, nobody is told.
  },
};

describe.each(Object.keys(steps))('a failed fold of a record of kind %s', (kind) => {
  const broker = new Standalone();
  afterAll(() => broker.stop());

  it('ends the process, which names it; what was acknowledged comes back', async () => {
    await broker.start([`planted=${kind}`], 'e2e/failed-fold');
    await createTopic(broker, { name: 'kept', type: 'normal' });
    await createTopic(broker, { name: 'later', type: 'delay' });
    const client = publicClient(broker);
    await client.send([{ topic: 'kept', body: Buffer.from('kept') }]);
    const done = steps[kind]?.(client).catch(() => false);
    expect(await broker.program.end()).toBe(programmingErrorExitCode);
    expect(broker.program.said).toContain('a planted mistake');
    expect(broker.program.said).toMatch(/"msg":"a programming error[^"]*"/);
    expect(await done).toBe(false);
    client.close();

    await broker.start();
    const other = publicClient(broker);
    const found = await other.receive({ ...kept, group: 'others' });
    expect(found.map(({ body }) => Buffer.from(body).toString())).toEqual(['kept']);
    other.close();
  });
});
