/** Members of a set hold their logs against each other. */
import { KiB } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { SetWorld } from './set-world.js';

const patienceMs = 110_000;

describe('members that compare their logs', () => {
  it('find nothing where all is well', async () => {
    const world = await new SetWorld(3).start();
    for (let i = 0; i < 20; i += 1) await world.send(`m${i}`);
    const asked: string[] = [];
    for (const member of world.members) {
      const { repairs } = member.broker.store;
      const digest = repairs.digest.bind(repairs);
      repairs.digest = async (from, end) => {
        const found = await digest(from, end);
        if (found && found.records > 0) asked.push(`${member.place} ${from} ${end} ${found.records} ${found.sum}`);
        return found;
      };
    }
    await world.pass(patienceMs);
    for (const { broker } of world.members) expect(broker.degraded()).toBeUndefined();
    expect(new Set(asked.map((each) => each.split(' ')[0])).size).toBe(3);
    await world.stop();
  });

  it('tell of a member that holds other records without a word', async () => {
    const world = await new SetWorld(3).start();
    for (let i = 0; i < 20; i += 1) await world.send(`m${i}`);
    const [odd, other] = world.followers;
    if (!odd || !other) throw new Error('there are two followers');
    const { repairs } = odd.broker.store;
    const digest = repairs.digest.bind(repairs);
    repairs.digest = async (from, end) => {
      const found = await digest(from, end);
      return found && { ...found, sum: found.sum ^ 1 };
    };
    await world.pass(patienceMs);
    expect(odd.broker.degraded()).toMatch(/differs from that of the member at .* between positions 0 and/);
    // Whoever compared with it says which one it is.
    expect([world.leader, other].map(({ broker }) => broker.member.difference?.address)).toContain(odd.address);
    await world.stop();
  });

  // Goal: damage that stays, as an operator gave it up, is no news every half minute, and what stands behind it is compared.
  it('pass over what can not be read', async () => {
    const world = await new SetWorld(3, { segmentBytes: 16 * KiB, recordBytesMax: 8 * KiB }).start();
    for (let i = 0; i < 200; i += 1) await world.send(`m${i}`);
    await world.until(() => world.isWhole, 'all have all');
    const [hurt] = world.followers;
    if (!hurt) throw new Error('there are two followers');
    const { repairs } = hurt.broker.store;
    const asked: number[] = [];
    const digest = repairs.digest.bind(repairs);
    repairs.digest = (from, end) => {
      asked.push(from);
      if (from === 0) return Promise.reject(new MqError('CORRUPT_RECORD', 'it was given up'));
      return digest(from, end);
    };
    await world.pass(patienceMs);
    expect(asked[0]).toBe(0);
    expect(asked.some((from) => from > 0)).toBe(true);
    expect(hurt.said.join()).not.toContain('could not be compared');
    await world.stop();
  });
});
