import { hashText } from './envelope.js';
import { MqError } from '@cometmq/shared';
import { printable } from './names.js';

/**
 * Where a lite topic lives: on one of the cluster's broker sets, and everybody finds the same. Each set draws a number for
 * the name and the highest wins, so a new set takes over its share of the names and moves no others.
 */
export function liteHome(liteTopic: string, sets: Iterable<string>): string | undefined {
  const name = hashText(liteTopic);
  let home: string | undefined;
  let highest = -1;
  for (const set of sets) {
    const drawn = draw(hashText(set), name);
    if (drawn < highest || (drawn === highest && home !== undefined && set > home)) continue;
    highest = drawn;
    home = set;
  }
  return home;
}

function draw(set: number, name: number): number {
  let hash = Math.imul(set ^ (name >>> 16), 0x85ebca6b) ^ name;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x27d4eb2f);
  return (hash ^ (hash >>> 15)) >>> 0;
}

const alphabet = /^[a-zA-Z0-9_-]+$/;

/** @throws MqError ILLEGAL_LITE_TOPIC */
export function checkLiteTopic(name: string, lengthMax: number): string {
  if (name !== '' && name.length <= lengthMax && alphabet.test(name)) return name;
  throw new MqError(
    'ILLEGAL_LITE_TOPIC',
    `lite topic "${printable(name)}": 1 to ${lengthMax} letters, digits, "-" and "_" are allowed`,
  );
}
