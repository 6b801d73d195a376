import { count, flag, millis } from '@cometmq/shared';

/** What can be set of the name service, wherever it runs. */
export const namesrvSettings = {
  autoCreateTopics: flag({ default: false, why: 'Make a topic when a client first uses it.' }),
  autoCreateGroups: flag({ default: false, why: 'Make a consumer group when a client first uses it.' }),
  topicsMax: count({
    default: 20_000,
    min: 1,
    max: 1_000_000,
    why: 'Topics there may be, dead letters aside; lite topics are none of them. Each is known to every process.',
  }),
  groupsMax: count({
    default: 20_000,
    min: 1,
    max: 1_000_000,
    why: 'Consumer groups there may be. Each is known to every process.',
  }),
  deletionGraceMs: millis({
    default: 24 * 3_600_000,
    min: 0,
    max: 30 * 24 * 3_600_000,
    why: 'How long the deletion of a topic or group can be taken back: until then nothing stored of it is deleted. 0: not at all.',
  }),
  defaultQueues: count({
    default: 8,
    min: 1,
    max: 1024,
    why: 'Write and read queues of a topic, on each broker set, where its maker names none.',
  }),
};
