import { refused } from '../scene.js';
import type { Feature } from './feature.js';

const MiB = 1024 * 1024;
const day = 24 * 3_600_000;

export const mistakes: readonly Feature[] = [
  {
    id: 'unknown-topic',
    title: 'refused: a topic that is not there',
    core: true,
    check: (scene) => refused(40402, async () => (await scene.producer(scene.named('nowhere'))).sendOne('x')),
  },
  {
    id: 'wrong-type',
    title: "refused: a message that is not of the topic's type",
    core: true,
    async check(scene) {
      const sender = await scene.producer(await scene.topic('normal'));
      await refused(40014, () => sender.sendOne('x', { group: 'g' }));
    },
  },
  {
    id: 'body-too-large',
    title: 'refused: a body that is too large',
    core: true,
    async check(scene) {
      const sender = await scene.producer(await scene.topic('normal'));
      await refused(41301, () => sender.sendOne(Buffer.alloc(4 * MiB + 1, 'x')));
    },
  },
  {
    id: 'body-empty',
    title: 'refused: an empty body',
    core: true,
    async check(scene) {
      const sender = await scene.producer(await scene.topic('normal'));
      await refused(41302, () => sender.sendOne(''));
    },
  },
  {
    id: 'reserved-property',
    title: 'refused: a reserved property name',
    async check(scene) {
      const sender = await scene.producer(await scene.topic('normal'));
      await refused(40007, () => sender.sendOne('x', { properties: { TRAN_MSG: 'true' } }), { byServer: true });
    },
  },
  {
    id: 'delay-too-far',
    title: 'refused: a delivery time too far ahead',
    async check(scene) {
      const sender = await scene.producer(await scene.topic('delay'));
      await refused(40012, () => sender.sendOne('x', { deliverAtMs: scene.dueIn(400 * day) }), { byServer: true });
    },
  },
  {
    id: 'bad-filter',
    title: 'refused: an SQL filter that does not parse',
    async check(scene) {
      const topic = await scene.topic('normal');
      const group = await scene.group();
      await refused(40010, async () => (await scene.simple(group, topic, 'price >', 'sql')).poll(), { byServer: true });
    },
  },
];
