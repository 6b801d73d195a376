import type { LogPosition, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { Audit, Resolution } from './ports.js';

/**
 * The payloads of the records about half messages; whole numbers are varints.
 *
 *   transactionChecked  | 1 | count | (position | next check ms) × count |
 *   transactionParked   | 1 | count | position × count |
 *   transactionAudited  | 1 | at ms | who text | resolution u8: 1 commit, 2 rollback | topic | position |
 */
const layout = 1;
const out = new ByteWriter();

export interface CheckedHalf {
  readonly position: LogPosition;
  readonly nextCheckMs: number;
}

export const resolutionNumber: Readonly<Record<Resolution, number>> = { commit: 1, rollback: 2 };

export function encodeChecked(checked: readonly CheckedHalf[]): Uint8Array {
  begin();
  out.whole(checked.length);
  for (const { position, nextCheckMs } of checked) {
    out.whole(position);
    out.whole(nextCheckMs);
  }
  return out.taken();
}

export function decodeChecked(payload: Uint8Array): CheckedHalf[] {
  const from = open(payload);
  const checked: CheckedHalf[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    checked.push({ position: from.whole() as LogPosition, nextCheckMs: from.whole() });
  }
  return checked;
}

export function encodeParked(positions: readonly LogPosition[]): Uint8Array {
  begin();
  out.whole(positions.length);
  for (const position of positions) out.whole(position);
  return out.taken();
}

export function decodeParked(payload: Uint8Array): LogPosition[] {
  const from = open(payload);
  const positions: LogPosition[] = [];
  for (let left = from.whole(); left > 0; left -= 1) positions.push(from.whole() as LogPosition);
  return positions;
}

export function encodeAudit(audit: Audit): Uint8Array {
  begin();
  out.whole(audit.atMs);
  out.text(audit.who);
  out.u8(resolutionNumber[audit.resolution]);
  out.whole(audit.topicId);
  out.whole(audit.position);
  return out.taken();
}

export function decodeAudit(payload: Uint8Array): Audit {
  const from = open(payload);
  const atMs = from.whole();
  const who = from.text();
  const resolution: Resolution = from.u8() === resolutionNumber.commit ? 'commit' : 'rollback';
  return { atMs, who, resolution, topicId: from.whole() as TopicId, position: from.whole() as LogPosition };
}

function begin(): void {
  out.begin();
  out.u8(layout);
}

function open(payload: Uint8Array): ByteReader {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a transaction record has a layout this version knows: new meaning is a new kind');
  return from;
}
