/**
 * What a record of kind `metadata` says: | size u32 | JSON {"version":…,"topics":[…],"groups":[…]} |, topics and groups as
 * they are defined from now on; those it does not name stay as they were. What is deleted has records of its own. A longer
 * payload is a later version, and so is a key that is not known here.
 */
import { viewOf } from '@cometmq/shared';

import type { ConsumerGroup, Topic } from '../topic.js';

/**
 * How far the metadata of one cluster had come. It goes on by revisions; when it was taken over from a broker's log after
 * a loss, revisions may begin anew, and a new generation says so.
 */
export interface MetadataVersion {
  readonly clusterId: string;
  readonly generation: number;
  readonly revision: number;
}

export interface MetadataRecord {
  readonly version: MetadataVersion;
  readonly topics: readonly Topic[];
  readonly groups: readonly ConsumerGroup[];
}

/** JSON of a topic or group as it may come in one record: a name has a limit, retry steps and texts too. */
export const metadataPerRecordMax = 100;

export function encodeMetadata(record: MetadataRecord): Uint8Array {
  const { version, topics, groups } = record;
  const json = Buffer.from(JSON.stringify({ version, topics, groups }));
  const payload = new Uint8Array(4 + json.length);
  viewOf(payload).setUint32(0, json.length, true);
  payload.set(json, 4);
  return payload;
}

export function decodeMetadata(payload: Uint8Array): MetadataRecord {
  const size = viewOf(payload).getUint32(0, true);
  const json = Buffer.from(payload.buffer, payload.byteOffset + 4, size).toString();
  return JSON.parse(json) as MetadataRecord;
}

/** Whether what is told at `now` may be believed by who has been told `known`. */
export function followsMetadata(now: MetadataVersion, known: MetadataVersion | undefined): boolean {
  if (!known) return true;
  if (now.clusterId !== known.clusterId) return false;
  return now.generation > known.generation || (now.generation === known.generation && now.revision >= known.revision);
}
