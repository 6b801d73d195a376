import { mix } from './home-set.js';

/**
 * Which queue of its broker set a message group's messages go to. Stable: the queue is found by jump consistent hashing, so that one more queue moves only the groups that it takes.
 */
export function queueOfGroup(groupHash: number, queues: number): number {
  let seed = groupHash;
  let queue = 0;
  for (let next = 0; next < queues;) {
    queue = next;
    seed = (seed + 0x9e3779b9) >>> 0;
    next = Math.floor(((queue + 1) * 2 ** 32) / (mix(seed) + 1));
  }
  return queue;
}
