import { createHash } from 'node:crypto';

import { MqError } from '@cometmq/shared';

import type { LogDamage } from './broker-admin.js';

/** Stands for a list of lost parts of a log: another list has another one. */
export function seenOf(damages: readonly LogDamage[]): string {
  const parts = damages.map(({ first, end, what }) => JSON.stringify([first, end, what])).sort();
  return createHash('sha256').update(parts.join('\n')).digest('base64url');
}

/** @throws MqError CONFLICT where it is not what was seen; undefined: nobody looked */
export function checkSeen(damages: readonly LogDamage[], seen: string | undefined): void {
  if (seen === undefined || seen === seenOf(damages)) return;
  throw new MqError('CONFLICT', 'what is lost is not the same any more, and nothing was given up: look again');
}
