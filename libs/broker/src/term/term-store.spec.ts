import { RecordKind, type LogPosition, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { BrokerWorld } from '../broker-world.js';
import { TermStore } from './term-store.js';

const over = new MqError('NOT_LEADER', 'the term is over');
const nothing = new Uint8Array(0);

describe('the store of a term', () => {
  it('lets nothing into the log once the term is over, though the same member leads', async () => {
    const world = await new BrokerWorld().start();
    const { broker } = world;
    const { store } = broker;
    const ended = new TermStore(store);
    const end = store.appendEnd;
    ended.end(over);
    expect(() => ended.append(RecordKind.ack, 1, nothing)).toThrow(over);
    expect(() => ended.deleteTopic(1 as TopicId, 1)).toThrow(over);
    expect(store.appendEnd).toBe(end);
    await world.send('a');
    expect(store.appendEnd).toBeGreaterThan(end);
    await broker.stop();
  });

  it('tells nobody of a commit by whoever leads next, and calls no hook any more', async () => {
    const { broker } = await new BrokerWorld().start();
    const { store } = broker;
    const ended = new TermStore(store);
    let hooks = 0;
    ended.beforeBatch(() => (hooks += 1));
    ended.end(over);
    const told: (MqError | undefined)[] = [];
    ended.whenCommitted(0 as LogPosition, (error) => told.push(error));
    expect(told).toEqual([over]);
    store.requestBatch();
    await broker.stop();
    expect(hooks).toBe(0);
  });

  it('writes nothing while the lead is being handed over, and goes on where it is not', async () => {
    const { broker } = await new BrokerWorld().start();
    const held = new TermStore(broker.store);
    const why = new MqError('TOO_MANY_REQUESTS', 'the lead is being handed over');
    held.hold(why);
    expect(() => held.appendDropped([], 1)).toThrow(why);
    held.hold(undefined);
    held.end(over);
    held.hold(undefined);
    expect(() => held.appendDropped([], 1)).toThrow(over);
    await broker.stop();
  });
});
