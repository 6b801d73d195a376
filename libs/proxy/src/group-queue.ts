/**
 * Which queue a message group's messages go to. Nobody else computes it, so it only has to be stable: the set is the one
 * that scores highest for the group (one that comes or goes moves its own groups alone), the queue within it is found by
 * jump consistent hashing (one more queue moves only the groups that it takes).
 */
export function setOfGroup(groupHash: number, setHashes: readonly number[]): number {
  let best = 0;
  let highest = -1;
  for (let i = 0; i < setHashes.length; i += 1) {
    const score = mix((setHashes[i] as number) ^ groupHash);
    if (score > highest) {
      highest = score;
      best = i;
    }
  }
  return best;
}

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

/** 32 well-mixed bits. */
function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
