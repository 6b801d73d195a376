import { groupId, queueId, RecordKind, topicId } from '@cometmq/model';

import { blockOffsets } from './block-table.js';
import { encodeDelivery } from './group-records.js';
import { GroupsView } from './index.js';
import { OffsetRuns } from './offset-runs.js';
import { FoldingLog, tags } from './testing.js';
import { unclaimedBlocksMax } from './unordered-progress.js';

const [group, topic, queue] = [groupId(1), topicId(2), queueId(3)];
const [A, B] = [11, 22];
const keyOf = (hash: number): number => tags(hash).key;

/** The group has come to `count` messages and kept them: every third for who wants A, the others for who wants B. */
function kept(count: number): GroupsView {
  const view = new GroupsView();
  const none = new OffsetRuns();
  const parked = new OffsetRuns();
  for (let offset = 0; offset < count; offset += 1) parked.push(offset, keyOf(offset % 3 === 0 ? A : B));
  const queues = [{ topicId: topic, queueId: queue, start: 0, frontier: count, handed: none, passed: none, parked }];
  const terms = { groupId: group, clientId: 'c', autoRenew: false, attemptId: '', visibleAtMs: 0, queues };
  new FoldingLog(view).append({ kind: RecordKind.delivery, payload: encodeDelivery(terms) }, 0);
  return view;
}

const found = (view: GroupsView, enough = Infinity): number[] => {
  const offsets: number[] = [];
  view.eachKeptForNobody(group, topic, queue, [tags(A)], (offset) => offsets.push(offset) < enough);
  return offsets;
};

it('tells what is kept for members that nobody knows, each once and in order, until that is enough', () => {
  const view = kept(10);
  expect(found(view)).toEqual([1, 2, 4, 5, 7, 8]);
  expect(found(view, 2)).toEqual([1, 2]);
});

// Goal: whoever asks how much a group has to do is answered at once, however much it keeps.
it('tells the first of millions', () => {
  const reach = unclaimedBlocksMax * blockOffsets;
  const offsets = found(kept(reach + 10_000));
  expect(offsets.at(-1)).toBeLessThan(reach);
  expect(offsets.length).toBe(Math.floor((reach * 2) / 3));
});
