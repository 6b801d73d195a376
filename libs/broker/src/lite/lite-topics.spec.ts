// Goal: a lite topic goes only if it is idle when that is written. Method: a sweep over more of them than one record
// deletes, and a message to one of the last when others have their turn in between.
import { LiteTopicsView } from '@cometmq/lite';
import type { LogPosition, QueueId, RecordKind, Topic, TopicId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';
import type { Placed } from '@cometmq/store';

import { LogClock } from '../log-clock.js';
import { LiteTopics } from './lite-topics.js';

const count = 2_000;
const late = `session-${count - 1}`;

it('a lite topic that is sent to while others are deleted stays', async () => {
  const view = new LiteTopicsView();
  const topic = { id: 1 as TopicId, name: 'sessions', liteExpirationMs: 1_000 } as Topic;
  const lasts = new Map<QueueId, LogPosition>();
  const deleted: string[] = [];
  const write = (kind: RecordKind, payload: Uint8Array): Placed => {
    view.fold({ kind, payload, position: 0 as LogPosition });
    return { position: 0 as LogPosition, size: 0, end: 0 as LogPosition };
  };
  const topics: LiteTopics = new LiteTopics({
    view,
    store: {
      append: (kind, _timestampMs, payload) => write(kind, payload),
      deleteLiteQueues: ({ kind, payload }) => write(kind, payload),
      positionAtTime: () => Promise.resolve(100 as LogPosition),
      queueSize: (_topicId, queueId) => ({ messages: 1, bytes: 1, last: lasts.get(queueId) ?? (0 as LogPosition) }),
    },
    directory: { topicById: () => topic },
    logClock: new LogClock(new ManualClock(), 10_000),
    topicsMax: count,
    onCreated: () => undefined,
    onDeleting: (_topicId, name) => void deleted.push(name),
    breathe: () => {
      lasts.set(topics.queueFor(topic, late), 200 as LogPosition);
      return Promise.resolve();
    },
  });
  for (let i = 0; i < count; i += 1) topics.queueFor(topic, `session-${i}`);
  await topics.sweep();
  expect(deleted).not.toContain(late);
  expect(deleted).toHaveLength(count - 1);
  expect(topics.expired).toBe(count - 1);
  expect(view.count).toBe(1);
});
