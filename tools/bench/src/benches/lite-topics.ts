import { type Bench, type Figure } from '../bench.js';

/** Lite topics in a store, without network and consumers. */
export const liteTopics: Bench = {
  name: 'lite-topics',
  about: 'a million lite topics made by a message each, found, held over a restart, and deleted',
  async run({ quick, folder, inProcess }): Promise<readonly Figure[]> {
    const topics = quick ? 20_000 : 1_000_000;
    const found = await inProcess('lite-topics', { folder, topics, inFlight: 1_000, payloadBytes: 100 });
    return [
      { what: `${topics.toLocaleString('en')} made with a message`, value: found.createMicros, unit: 'CPU µs each' },
      { what: 'made and committed', value: found.createdPerSecond, unit: '/s' },
      { what: 'memory after a restart', value: found.bytesPerTopic, unit: 'bytes each', atMost: 200 },
      { what: 'and for a group that has begun there', value: found.bytesPerGroupAndTopic, unit: 'bytes each' },
      { what: 'start with all of them', value: found.startMs, unit: 'ms' },
      { what: 'found by name', value: found.findMicros, unit: 'CPU µs each' },
      { what: 'deleted', value: found.deleteMicros, unit: 'CPU µs each' },
      { what: 'deleted and committed', value: found.deletedPerSecond, unit: '/s' },
      { what: 'left behind', value: found.left, unit: 'queues and names', atMost: 0 },
    ];
  },
};
