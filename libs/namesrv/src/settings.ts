import { count, flag } from '@cometmq/shared';

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
  defaultQueues: count({
    default: 8,
    min: 1,
    max: 1024,
    why: 'Write and read queues of a topic, on each broker set, where its maker names none.',
  }),
};
