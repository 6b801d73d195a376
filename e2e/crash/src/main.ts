/**
 * The broker that the recorder watches: works by a seed on a real folder, and says on standard output, a line each and
 * with one write each, what was acknowledged to whom. So the record of its system calls holds both, in their order.
 *
 *   node main.cjs <folder> <seed>
 */
import { writeSync } from 'node:fs';

import { Prng } from '@cometmq/shared';

import { Subject } from './subject.js';

const rounds = 24;

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

async function work(folder: string, seed: number): Promise<void> {
  const chance = new Prng(seed);
  const subject = await new Subject(folder).start();
  const kept = await subject.nameService.createTopic({ name: 'kept', writeQueues: 2, readQueues: 2 });
  say('topic kept');
  const brief = await subject.nameService.createTopic({ name: 'brief', writeQueues: 1, readQueues: 1 });
  say('topic brief');
  const group = await subject.nameService.createGroup({ name: 'readers' });
  say('group readers');
  let sent = 0;
  for (let round = 0; round < rounds; round += 1) {
    const sends: Promise<unknown>[] = [];
    for (let i = 1 + chance.below(24); i > 0; i -= 1) {
      const topic = round % 8 < 5 && chance.chance(0.3) ? kept : brief;
      const id = `#${topic.name}-${sent++}`;
      const body = Buffer.alloc(chance.pick([10, 300, 6_000]), 'b');
      const queue = chance.below(topic.writeQueues);
      sends.push(subject.send(topic, queue, id, body).then(() => say(`sent ${id}`)));
    }
    await Promise.all(sends);
    for (const { id, receipt } of await subject.poll(kept, group, 1 + chance.below(8), 600_000)) {
      if (chance.chance(0.7)) await subject.ack(receipt).then(() => say(`done ${id}`));
    }
    if (round % 4 !== 3) continue;
    await subject.nameService.createTopic({ name: `later-${round}` });
    say(`topic later-${round}`);
    // What is brief is over at once: segments go, or are compacted.
    const nowMs = subject.broker.store.lastTimestampMs + 60_000;
    await subject.broker.store.checkpoint();
    await subject.broker.store.retention.run(nowMs, (topicId) => ({ ms: topicId === brief.id ? 1_000 : 1e9 }));
  }
  await subject.stop();
  say('stopped');
}

const [folder = '', seed = '1'] = process.argv.slice(2);
work(folder, Number(seed)).then(
  () => process.exit(0),
  (caught: unknown) => {
    console.error(caught);
    process.exit(1);
  },
);
