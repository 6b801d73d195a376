import type { BrokerSet } from './broker.js';
import { hashText } from './envelope.js';

/**
 * Names of the broker sets that message groups and lite topics are spread over, in a stable order. Whoever leads, whatever
 * they have room for: a message group changes its set only when a set comes or goes.
 */
export function homeSets(sets: Iterable<Pick<BrokerSet, 'name' | 'stage' | 'groupless'>>): string[] {
  const [homes, joining]: [string[], string[]] = [[], []];
  for (const set of sets) {
    if (isHome(set)) homes.push(set.name);
    else if (set.stage !== 'gone') joining.push(set.name);
  }
  return (homes.length > 0 ? homes : joining).sort();
}

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

/** Whether message groups are spread over this set too. */
export function isHome({ stage, groupless }: Pick<BrokerSet, 'stage' | 'groupless'>): boolean {
  return stage === 'serving' || (stage === 'draining' && !groupless);
}

/** Where a message group, or a lite topic, lives, among the sets of `homeSets`. */
export function homeOfGroup(name: string, homes: readonly string[]): string | undefined {
  const sorted = [...homes].sort();
  return sorted[setOfHash(hashText(name), sorted.map(hashText))];
}

/** 32 well-mixed bits. */
export function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
