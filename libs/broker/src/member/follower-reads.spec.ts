// Goal: what a leader leaves to its followers to read is what it would have given itself, and no place that somebody names
// harms a member. Method: a set of three on faked time, network and disks; a member that was started anew has nothing in memory.
import type { Delivered, PulledMessage, PullResult, ReadBody, RemotePlace } from '@cometmq/client';
import { everything, MessageType, queueId, queueOffset } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { settle } from '../broker-world.js';
import { SetWorld, type SetMemberWorld } from './set-world.js';

const ids = Array.from({ length: 40 }, (_, i) => `m-${i}`);
let world: SetWorld;

/** Messages that nobody has in memory. */
async function cold(behindBytes: number): Promise<void> {
  const storeLimits = { aheadBytes: 16 * 1024, reserveBytes: 8 * 1024, compactionReserveBytes: 8 * 1024 };
  world = await new SetWorld(3, { followerReadsBehindBytes: behindBytes, storeLimits }).start();
  for (const id of ids) await world.send(id);
  await restart();
}

async function restart(): Promise<void> {
  for (const member of world.members) {
    await world.during(member.stop());
    await member.start();
    await world.until(() => world.isWhole, 'it is back');
  }
}

const far = { messagesMax: 32, readsMembers: true };
const placed = (messages: readonly (Delivered | PulledMessage)[]): RemotePlace[] =>
  messages.flatMap(({ place }) => place ?? []);

async function read(member: SetMemberWorld, places: readonly RemotePlace[]): Promise<(ReadBody | MqError)[]> {
  const found: (ReadBody | MqError)[] = [];
  for await (const { body } of member.broker.member.readMessages(places)) found.push(body);
  return found;
}

/** Behind the envelope. */
const bodyIn = (body: ReadBody | MqError): string | undefined => /body of .*$/.exec(textOf(body))?.[0];
const bodyOf = (id: string): string => `body of ${id}`;

const textOf = (body: ReadBody | MqError | undefined): string =>
  body === undefined || body instanceof MqError ? String(body) : Buffer.from(body.payload).toString('latin1');

afterEach(() => world.stop());

describe('messages far behind the end of the log', () => {
  it('are named to who reads members, and read there as the leader would have', async () => {
    await cold(1);
    const messages = await world.poll(far);
    expect(messages).toHaveLength(32);
    const places = placed(messages);
    expect(places).toHaveLength(32);
    expect(messages[0]?.payload).toHaveLength(0);
    const addresses = world.followers.map(({ address }) => address).sort();
    expect([...(places[0]?.members ?? [])].sort()).toEqual(addresses);
    const byLeader = await world.during(read(world.leader, places));
    for (const follower of world.followers) {
      const before = follower.broker.member.followerReads.messages;
      const found = await world.during(read(follower, places));
      expect(found).toEqual(byLeader);
      expect(found.map(bodyIn)).toEqual(ids.slice(0, 32).map(bodyOf));
      expect(follower.broker.member.followerReads.messages - before).toBe(32);
    }
    for (const { receipt } of messages) await world.ack(receipt);
    expect(await world.drain({ messagesMax: 32 })).toEqual(ids.slice(32));
  });

  it('are named to pulls too', async () => {
    await cold(1);
    const { topic } = world;
    const pull = { groupId: undefined, topicId: topic.id, queueId: queueId(0), offset: queueOffset(0), messagesMax: 8 };
    const rest = { bytesMax: 1e6, filter: everything, clientId: 'c', waitMs: 0, readsMembers: true };
    const { messages, nextOffset } = await world.during(
      settle<PullResult>((done) => world.leader.broker.pull({ ...pull, ...rest }, done)),
    );
    expect(messages.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(nextOffset).toBe(8);
    const found = await world.during(read(world.followers[0] as SetMemberWorld, placed(messages)));
    expect(found.map(bodyIn)).toEqual(ids.slice(0, 8).map(bodyOf));
  });

  it('are named to consumers of lite topics too', async () => {
    const storeLimits = { aheadBytes: 16 * 1024, reserveBytes: 8 * 1024, compactionReserveBytes: 8 * 1024 };
    world = await new SetWorld(3, { followerReadsBehindBytes: 1, storeLimits }).start();
    world.topic = await world.nameService.createTopic({ name: 'sessions', type: MessageType.lite });
    world.group = await world.nameService.createGroup({ name: 'agents', lite: { topic: 'sessions' } });
    for (const id of ids.slice(0, 8)) await world.send(id, { liteTopic: Buffer.from('s-1') });
    await restart();
    await world.trying((broker) =>
      settle<void>((done) =>
        broker.syncLite(
          {
            ...{ clientId: 'c', groupId: world.group.id, topicId: world.topic.id, action: 'add', liteTopics: ['s-1'] },
            start: { at: 'first' },
          },
          done,
        ),
      ),
    );
    const places = placed(await world.poll({ ...far, clientId: 'c', waitMs: 5_000 }));
    const found = await world.during(read(world.followers[0] as SetMemberWorld, places));
    expect(found.map(bodyIn)).toEqual(ids.slice(0, 8).map(bodyOf));
  });

  it('are read by the leader for who does not read members, near the end, and where no follower is there', async () => {
    await cold(1);
    const whole = await world.poll({ messagesMax: 2 });
    expect(placed(whole)).toEqual([]);
    expect(whole.map(({ payload }) => Buffer.from(payload).toString('latin1'))).toEqual([
      expect.stringContaining('body of m-0'),
      expect.stringContaining('body of m-1'),
    ]);
    for (const follower of world.followers) follower.kill();
    await world.pass(1_500); // Its term's followers are heard of no more.
    const { broker } = world.leader;
    const alone = settle<{ messages: readonly Delivered[] }>((done) =>
      broker.pull(
        {
          ...{ groupId: undefined, topicId: world.topic.id, queueId: queueId(0), offset: queueOffset(30) },
          ...{ messagesMax: 4, bytesMax: 1e6, filter: everything, clientId: 'c', waitMs: 0, readsMembers: true },
        },
        done as never,
      ),
    );
    expect(placed((await world.during(alone)).messages)).toEqual([]);
  });

  it('begin where the setting says', async () => {
    await cold(1_000_000_000);
    expect(placed(await world.poll(far))).toEqual([]);
  });
});

describe('places that somebody names', () => {
  it('are answered with what is wrong about them, and are no damage of the log', async () => {
    await cold(1);
    const [place] = placed(await world.poll(far));
    if (!place) throw new Error('nothing was named');
    const follower = world.followers[0] as SetMemberWorld;
    const code = async (at: Partial<RemotePlace>): Promise<string> => {
      const [found] = await world.during(read(follower, [{ ...place, ...at }]));
      return found instanceof MqError ? found.code : 'OK';
    };
    expect(await code({})).toBe('OK');
    expect(await code({ position: (place.position + 7) as never })).toMatch(/^(CORRUPT_RECORD|NOT_FOUND)$/);
    expect(await code({ size: place.size + 1 })).toMatch(/^(CORRUPT_RECORD|NOT_FOUND)$/);
    expect(await code({ position: (follower.broker.store.commitEnd - 1) as never })).toBe('NOT_FOUND');
    expect(await code({ position: 1e15 as never })).toBe('NOT_FOUND');
    for (const bad of [{ size: 0 }, { size: 2 ** 31 }, { position: 0.5 as never }, { position: -1 as never }]) {
      await expect(code(bad)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
    const many = Array.from({ length: 10_001 }, () => place);
    await expect(read(follower, many)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(follower.broker.store.damage.all).toEqual([]);
  });
});
