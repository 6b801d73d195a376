import { hashText, type FilterExpression } from '@cometmq/model';
import { Message } from '@cometmq/proto';

import { BrokerWorld, ids } from './broker-world.js';

const tags = (expression: string): FilterExpression => ({ type: 'tag', expression });
const sql = (expression: string): FilterExpression => ({ type: 'sql', expression });

/** Sends a message with properties; its body names it. */
function send(world: BrokerWorld, id: string, userProperties: Record<string, string>, bytes = 0): Promise<number> {
  const body = Buffer.concat([Buffer.alloc(bytes, 1), Buffer.from(`body of ${id}`)]);
  const message = Message.encode(
    Message.fromPartial({
      userProperties: new Map(Object.entries(userProperties)),
      systemProperties: { messageId: id },
      body,
    }),
  );
  return world.sendAs(id, {}, world.topic, 0, message.finish());
}

describe('filters in delivery', () => {
  it('delivers what a SQL expression wants, and nothing else', async () => {
    const world = await new BrokerWorld().start();
    await send(world, 'cheap', { price: '5' });
    await send(world, 'dear', { price: '50' });
    await send(world, 'odd', { price: 'much' });
    await send(world, 'none', {});
    await send(world, 'dearer', { price: '51' });
    expect(ids(await world.poll({ filter: sql('price > 10') }))).toEqual(['dear', 'dearer']);
    world.clock.advance(10_001);
    expect(ids(await world.poll({ filter: sql('price > 10') }))).toEqual(['dear', 'dearer']); // Again, as unacked.
    await world.broker.stop();
  });

  it('wakes a waiting poll only for what it wants', async () => {
    const world = await new BrokerWorld().start();
    const waiting = world.poll({ filter: sql("kind = 'b'"), waitMs: 20_000 });
    await send(world, 'a', { kind: 'a' });
    expect(world.broker.waitingPolls).toBe(1);
    await send(world, 'b', { kind: 'b' });
    expect(ids(await waiting)).toEqual(['b']);
    await world.broker.stop();
  });

  it.each([true, false])('tells two tags with one hash apart (a restart between: %s)', async (restart) => {
    expect(hashText('costarring')).toBe(hashText('liquid'));
    const world = await new BrokerWorld().start();
    await world.send('1', 'costarring');
    await world.send('2', 'liquid');
    await world.send('3', 'other');
    await world.send('4', 'costarring');
    if (restart) await world.restart();
    const [first, second] = [
      { clientId: 'c', filter: tags('costarring') },
      { clientId: 'l', filter: tags('liquid || other') },
    ];
    expect(ids(await world.poll(first))).toEqual(['1', '4']);
    // What has to come from disk comes with the next poll.
    expect([...ids(await world.poll(second)), ...ids(await world.poll(second))]).toEqual(['2', '3']);
    expect(await world.poll(first)).toEqual([]);
    await world.broker.stop();
  });

  it('loses nothing between members with different filters, whoever asks first', async () => {
    const world = await new BrokerWorld().start();
    const members = [
      { clientId: 'sql-a', filter: sql("kind = 'a'") },
      { clientId: 'sql-b', filter: sql("kind IN ('b', 'c')") },
      { clientId: 'tag-t', filter: tags('t') },
    ];
    for (const member of members) await world.poll(member);
    for (const id of ['a1', 'b1', 'c1', 'x1', 'a2', 'b2']) await send(world, id, { kind: id.slice(0, 1) });
    await world.send('t1', 't');
    const given = new Map<string, string[]>();
    for (let round = 0; round < 3; round += 1) {
      for (const member of members) {
        const found = ids(await world.poll(member));
        given.set(member.clientId, [...(given.get(member.clientId) ?? []), ...found]);
      }
    }
    expect(Object.fromEntries(given)).toEqual({ 'sql-a': ['a1', 'a2'], 'sql-b': ['b1', 'c1', 'b2'], 'tag-t': ['t1'] });
    await world.broker.stop();
  });

  it('skips nothing when a group moves from one tag to two, one member after another', async () => {
    const world = await new BrokerWorld().start();
    const [before, after] = [
      { clientId: 'old', filter: tags('A') },
      { clientId: 'new', filter: tags('A || B') },
    ];
    await world.poll(before);
    await world.poll(after); // The first new member is there.
    await world.send('b1', 'B');
    await world.send('a1', 'A');
    expect(ids(await world.poll(before))).toEqual(['a1']);
    await world.send('b2', 'B');
    expect(await world.poll(before)).toEqual([]);
    expect(ids(await world.poll(after))).toEqual(['b1', 'b2']);
    await world.broker.stop();
  });

  it('looks for a rare match a slice at a time, and lets others have their turn between', async () => {
    const world = await new BrokerWorld().start();
    const other = await world.nameService.createTopic({ name: 'other' });
    for (let i = 0; i < 3000; i += 1) void send(world, `m${i}`, { n: String(i) });
    await send(world, 'last', { n: 'last' });
    await world.send('next door', '', other);
    let turns = 0;
    const found = world.poll({ filter: sql("n = 'last'"), waitMs: 20_000 });
    const count = (): void => {
      turns += 1;
      if (world.broker.waitingPolls > 0) setImmediate(count);
    };
    setImmediate(count);
    const next = ids(await world.poll({ topicId: other.id, clientId: 'neighbour' }));
    expect(next).toEqual(['next door']);
    expect(ids(await found)).toEqual(['last']);
    expect(turns).toBeGreaterThanOrEqual(3); // 3,000 looks of 7 each, at most 2,048 in one go.
    await world.broker.stop();
  });

  it('finds a match among messages that lie on disk only, also for a poll that does not wait', async () => {
    const world = await new BrokerWorld().start();
    for (let i = 0; i < 200; i += 1) await send(world, `m${i}`, { n: String(i) }, 1000);
    await world.restart(); // Nothing is in memory now.
    const found = await world.poll({ filter: sql('n > 197') });
    expect(found.map(({ payload }) => Buffer.from(payload).toString('latin1').split('body of ')[1])).toEqual([
      'm198',
      'm199',
    ]);
    await world.broker.stop();
  });
});
