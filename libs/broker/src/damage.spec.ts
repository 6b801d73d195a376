/** A sealed segment is gone or damaged: what that costs those who consume, and how they get on. */
import type { PullResult } from '@cometmq/client';
import { everything, KiB, queueId, RecordKind, type ConsumerGroup, type QueueOffset } from '@cometmq/model';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld, ids, settle } from './broker-world.js';

const count = 40;
const q0 = queueId(0);

class DamagedWorld extends BrokerWorld {
  /** Offsets of messages that were in the segment. */
  readonly hit = new Set<number>();

  /** Messages of 300 KB, some thirteen a segment; the second segment goes. */
  async damage(): Promise<this> {
    await this.start();
    for (let i = 0; i < count; i += 1) await this.sendAny(`m${i}`, {}, this.topic, 0, body(`m${i}`));
    const names = await this.segmentNames();
    const [, gone, next] = names as [string, string, string];
    const [first, end] = [gone, next].map((name) => Number(name.slice(0, 16))) as [number, number];
    for (let offset = 0; offset < count; offset += 1) {
      const entries = await this.broker.store.scan(this.topic.id, q0, offset as QueueOffset, 1);
      if (entries.position(0) >= first && entries.position(0) < end) this.hit.add(offset);
    }
    await this.broker.stop();
    await this.disk.unlink(`data/log/${gone}`);
    await this.crash();
    expect(this.hit.size).toBeGreaterThan(5);
    return this;
  }

  private async segmentNames(): Promise<string[]> {
    return (await this.disk.list('data/log')).filter((name) => /^\d+\.log$/.test(name)).sort();
  }

  async placeOf(offset: number) {
    const entries = await this.broker.store.scan(this.topic.id, q0, offset as QueueOffset, 1);
    const position = entries.position(0);
    const name = (await this.segmentNames()).findLast((one) => Number(one.slice(0, 16)) <= position) ?? '';
    return { position, size: entries.size(0), segment: { name, first: Number(name.slice(0, 16)) } };
  }

  get readable(): string[] {
    return Array.from({ length: count }, (_, i) => i)
      .filter((i) => !this.hit.has(i))
      .map((i) => `m${i}`);
  }

  /** All that the group gets now. */
  async drain(group: ConsumerGroup): Promise<string[]> {
    const found: string[] = [];
    let empty = 0;
    while (empty < 20) {
      const messages = await this.poll({ groupId: group.id });
      for (const { receipt } of messages) await this.ack(receipt);
      found.push(...ids(messages).map((text) => text.split(' ')[0] as string));
      empty = messages.length > 0 ? 0 : empty + 1;
    }
    return found;
  }

  /** Time passes, and what it begins can end. */
  async pass(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 1) {
      this.clock.advance(1_000);
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    }
  }

  committed(group: ConsumerGroup): number | undefined {
    return this.broker.groups.figures(group.id, this.topic.id, q0)?.committed;
  }

  pull(offset: number): Promise<PullResult> {
    return settle((done) =>
      this.broker.pull(
        {
          groupId: this.group.id,
          topicId: this.topic.id,
          queueId: q0,
          offset: offset as QueueOffset,
          messagesMax: 32,
          bytesMax: 1 << 20,
          filter: everything,
          clientId: 'c1',
          waitMs: 0,
        },
        done,
      ),
    );
  }
}

const body = (id: string): Buffer => Buffer.concat([Buffer.from(`body of ${id} `), Buffer.alloc(300_000)]);

describe('a log of which a segment is gone', () => {
  it('delivers all other messages; those that are lost are passed over when they are given up', async () => {
    const world = await new DamagedWorld().damage();
    const { group } = world;
    const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    const damages = await reports.damage('broker-0');
    expect(damages).toHaveLength(1);
    expect(damages[0]?.what).toContain('missing');
    expect((await reports.describe('broker-0')).lostBytes).toBeGreaterThan(1_000_000);

    expect(await world.drain(group)).toEqual(world.readable);
    // They are not done: the file may come back.
    expect(world.committed(group)).toBe(Math.min(...world.hit));
    world.clock.advance(10_001);
    expect(await world.drain(group)).toEqual([]);
    // However often it is tried, the log says it once.
    const told = world.said.map(({ said }) => said).filter((said) => !said.startsWith('recovered'));
    expect(told).toEqual(['part of the log is lost']);

    expect(await reports.giveUpLost('broker-0')).toEqual(damages);
    expect((await reports.describe('broker-0')).lostBytes).toBe(0);
    world.clock.advance(10_001);
    expect(await world.drain(group)).toEqual([]);
    expect(world.committed(group)).toBe(count);
    // So it is for others, and after a restart, of which nobody is told any more.
    await world.restart();
    expect(await reports.damage('broker-0')).toEqual([]);
    const late = await world.nameService.createGroup({ name: 'late' });
    expect(await world.drain(late)).toEqual(world.readable);
    expect(world.committed(late)).toBe(count);
    await world.broker.stop();
  });

  it('leaves nothing undone of which the attempts are used up, once it is given up', async () => {
    const world = await new DamagedWorld().damage();
    const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    const once = await world.nameService.createGroup({ name: 'once', attemptsMax: 1 });
    expect(await world.drain(once)).toEqual(world.readable);
    await world.pass(12);
    expect(world.committed(once)).toBe(Math.min(...world.hit));
    await reports.giveUpLost('broker-0');
    await world.pass(3);
    expect(world.committed(once)).toBe(count);
    await world.broker.stop();
  });

  it('goes on where the log is behind when a message that was given up is passed over', async () => {
    const world = await new DamagedWorld().damage();
    const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    expect(await world.drain(world.group)).toEqual(world.readable);
    await reports.giveUpLost('broker-0');
    world.clock.advance(10_001);
    world.refuseNext(RecordKind.ack);
    expect(await world.drain(world.group)).toEqual([]);
    expect(world.committed(world.group)).toBe(Math.min(...world.hit));
    world.clock.advance(10_001);
    expect(await world.drain(world.group)).toEqual([]);
    expect(world.committed(world.group)).toBe(count);
    await world.broker.stop();
  });

  it('is pulled around what is lost', async () => {
    const world = await new DamagedWorld().damage();
    const found: string[] = [];
    for (let offset = 0; offset < count;) {
      const { messages, nextOffset } = await world.pull(offset);
      expect(nextOffset).toBeGreaterThan(offset);
      for (const { payload } of messages) {
        found.push(Buffer.from(payload).toString('latin1').split('body of ')[1]?.split(' ')[0] ?? '?');
      }
      offset = nextOffset;
    }
    expect(found).toEqual(world.readable);
    await world.broker.stop();
  });
});

// What is given up is passed over by what the checkpoint says, as the log does not say it any more.
it.each([true, false])(
  'records that went bad behind the checkpoint stop no start once given up (given up: %s)',
  async (given) => {
    const world = await new DamagedWorld().start();
    world.storeLimits = { ...world.storeLimits, tailCacheBytes: 64 * KiB };
    await world.restart(); // Here the checkpoint ends.
    for (let i = 0; i < count; i += 1) await world.sendAny(`m${i}`, {}, world.topic, 0, body(`m${i}`));
    const bad = 20;
    const { position, size, segment } = await world.placeOf(bad);
    world.disk
      .peek(`data/log/${segment.name}`)
      .fill(1, position - segment.first + size - 8, position - segment.first + size);
    world.hit.add(bad);
    const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    expect(await world.drain(world.group)).toEqual(world.readable);
    expect(await reports.damage('broker-0')).toMatchObject([{ first: position, end: position + size }]);

    if (!given) {
      await expect(world.crash()).rejects.toMatchObject({ code: 'CORRUPT_RECORD' });
      return;
    }
    expect(await reports.giveUpLost('broker-0')).toHaveLength(1);
    await world.crash();
    const again = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    expect(await again.damage('broker-0')).toEqual([]);
    const late = await world.nameService.createGroup({ name: 'late' });
    expect(await world.drain(late)).toEqual(world.readable);
    expect(world.committed(late)).toBe(count);
    await world.broker.stop();
  },
);
