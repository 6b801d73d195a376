import { hashText } from './envelope.js';

/**
 * Which broker set the messages of a message group, or of a lite topic, go to: everybody finds the same. Each set draws a
 * number for the hash and the highest wins, so a set that comes or goes moves its own share and no other. Answers an index.
 */
export function setOfHash(hash: number, setHashes: readonly number[]): number {
  let best = 0;
  let highest = -1;
  for (let i = 0; i < setHashes.length; i += 1) {
    const score = mix((setHashes[i] as number) ^ hash);
    if (score > highest) {
      highest = score;
      best = i;
    }
  }
  return best;
}

/** Where a lite topic lives, among the names of all broker sets. */
export function homeOfLiteTopic(liteTopic: string, sets: Iterable<string>): string | undefined {
  const sorted = [...sets].sort();
  return sorted[setOfHash(hashText(liteTopic), sorted.map(hashText))];
}

/** 32 well-mixed bits. */
export function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
