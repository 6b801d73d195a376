import {
  encodeTopicDeleted,
  epoch,
  groupId,
  logPosition,
  queueId,
  queueOffset,
  RecordKind,
  topicId,
} from '@cometmq/model';

import { GroupsView, PullOffsets } from './index.js';

const at = { position: logPosition(0), epoch: epoch(1), timestampMs: 0 };
const say = (view: PullOffsets, group: number, topic: number, queue: number, offset: number) =>
  view.fold({ ...at, ...view.decide(groupId(group), topicId(topic), queueId(queue), queueOffset(offset)) });
const get = (view: PullOffsets, group: number, topic: number, queue: number) =>
  view.get(groupId(group), topicId(topic), queueId(queue));

describe('offsets of groups that pull', () => {
  it('are what was said last, of each queue apart', () => {
    const view = new PullOffsets();
    expect(get(view, 1, 1, 0)).toBeUndefined();
    say(view, 1, 1, 0, 5);
    say(view, 1, 1, 1, 2 ** 40);
    say(view, 1, 1, 0, 3);
    expect([get(view, 1, 1, 0), get(view, 1, 1, 1), get(view, 2, 1, 0)]).toEqual([3, 2 ** 40, undefined]);
    expect(view.of(groupId(1)).map(({ queueId: q, offset }) => [q, offset])).toEqual([
      [0, 3],
      [1, 2 ** 40],
    ]);
  });

  it('go with their group and their topic, also from checkpoints', () => {
    const view = new PullOffsets();
    for (const [group, topic] of [
      [1, 1],
      [1, 2],
      [2, 1],
    ] as const) {
      say(view, group, topic, 0, 9);
    }
    const saved = new Map(view.takeChanges().map(({ key, value }) => [key, value]));
    expect(view.takeChanges()).toEqual([]);
    view.fold({ ...at, ...new GroupsView().decideGroupDeleted(groupId(2)) });
    view.fold({ ...at, kind: RecordKind.topicDeleted, payload: encodeTopicDeleted(topicId(2)) });
    for (const { key, value } of view.takeChanges()) {
      if (value) saved.set(key, value);
      else saved.delete(key);
    }
    const next = new PullOffsets();
    for (const [key, value] of saved) next.load(key, value!);
    expect([get(next, 1, 1, 0), get(next, 1, 2, 0), get(next, 2, 1, 0)]).toEqual([9, undefined, undefined]);
  });
});
