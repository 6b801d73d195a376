/**
 * Which kinds of record may be written: those of the broker set's feature level. It rises by a record, once all members
 * run a release that knows the higher one; a release that does not know it refuses to go on behind that record. So while
 * a set is being upgraded nothing is written that one of its members can't fold.
 *
 * One piece: `l` → | version u8 | level u32 |
 */
import { featureLevelMax, featureLevelOf, RecordKind, type StateChange } from '@cometmq/model';
import { assert, MqError, viewOf } from '@cometmq/shared';

import type { LogRecord } from '../log/record.js';
import type { StateView } from './state-view.js';

const version = 1;
const key = 'l';
/** Of a set that has never raised it. */
const firstLevel = 1;

export class FeatureLevel implements StateView {
  readonly name = 'featureLevel';
  readonly kinds: ReadonlySet<RecordKind> = new Set([RecordKind.featureLevel]);
  private now = firstLevel;
  private changed = false;

  constructor(
    private readonly max: number = featureLevelMax,
    private readonly levelOf: (kind: RecordKind) => number = featureLevelOf,
  ) {}

  get level(): number {
    return this.now;
  }

  /** @throws MqError UNSUPPORTED where records of this kind may not be written yet */
  check(kind: RecordKind): void {
    const needed = this.levelOf(kind);
    if (needed <= this.now) return;
    throw new MqError(
      'UNSUPPORTED',
      `this needs feature level ${needed}, and the broker set is at level ${this.now}: upgrade all its members, then raise it`,
    );
  }

  fold({ payload, position }: LogRecord): void {
    const level = decodeFeatureLevel(payload);
    if (level > this.max) throw tooNew(`the feature level was raised to ${level}`, position);
    if (level <= this.now) return;
    this.now = level;
    this.changed = true;
  }

  takeChanges(): StateChange[] {
    if (!this.changed) return [];
    this.changed = false;
    const value = new Uint8Array(5);
    value[0] = version;
    viewOf(value).setUint32(1, this.now, true);
    return [{ key, value }];
  }

  load(_key: string, value: Uint8Array): void {
    assert(value[0] === version, 'the feature level is of a known version');
    this.now = viewOf(value).getUint32(1, true);
    if (this.now > this.max) throw tooNew(`the checkpoint is of feature level ${this.now}`, undefined);
  }

  clear(): void {
    this.now = firstLevel;
    this.changed = false;
  }
}

export function encodeFeatureLevel(level: number): Uint8Array {
  const payload = new Uint8Array(4);
  viewOf(payload).setUint32(0, level, true);
  return payload;
}

function decodeFeatureLevel(payload: Uint8Array): number {
  return viewOf(payload).getUint32(0, true);
}

/** This release can't go on. */
export function tooNew(what: string, position: number | undefined): MqError {
  const where = position === undefined ? '' : ` at log position ${position}`;
  return new MqError(
    'DATA_FOLDER',
    `${what}${where}; this release knows up to feature level ${featureLevelMax}: start the newer release that wrote it`,
  );
}
