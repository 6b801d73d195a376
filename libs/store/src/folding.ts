/**
 * What the records of the log come to: indexes, directory, sizes, state views. `apply` is the only fold there is: a
 * leader calls it right behind each append, since it decides on what it has appended; everybody else, and every start,
 * at the commit. So all of them come to the same, by construction.
 *
 * Of what a checkpoint already holds only the index is folded, of what lies in sealed segments only the state: their
 * index is a file.
 *
 *   | … sealed segments … | active segment …
 *              | checkpoint                        state is folded from here on
 *                         | first of the active    the index from here on
 */
import { decodeTopicDeleted, eachExpired, eachLiteQueueGone, RecordKind, referenceTarget } from '@cometmq/model';
import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { broken, MqError } from '@cometmq/shared';

import { foldIntoIndex } from './index/segment-indexes.js';
import type { SegmentIndexes } from './index/segment-indexes.js';
import type { EpochTable } from './log/epoch-table.js';
import type { LogRecord } from './log/record.js';
import { Arrivals } from './views/arrivals.js';
import { QueueDirectory } from './views/queue-directory.js';
import { Epochs } from './views/epochs.js';
import { FeatureLevel, tooNew } from './views/feature-level.js';
import { PendingMessages } from './views/pending-messages.js';
import { ReleasedPending } from './views/released-pending.js';
import { addTo } from './listeners.js';
import { RecordNotes } from './record-notes.js';
import { Sizes } from './views/sizes.js';
import type { StateView } from './views/state-view.js';

export interface FoldingParts {
  readonly indexes: SegmentIndexes;
  readonly epochs: EpochTable;
  /** The views of others. */
  readonly views: readonly StateView[];
  readonly segmentBytes: number;
  readonly pendingWindowBytes: number;
  coldPiece(view: StateView, key: string): Uint8Array | undefined;
  /** Memory is no longer what the log says. Told once. */
  onFailed(error: MqError): void;
}

type Arrived = (topicId: TopicId, queueId: QueueId) => void;

export class Folding {
  readonly directory = new QueueDirectory();
  readonly sizes = new Sizes();
  readonly featureLevel = new FeatureLevel();
  readonly pending: PendingMessages;
  readonly released: ReleasedPending;
  /** All of them, ours first. */
  readonly views: readonly StateView[];
  /** Behind the newest record that may have ended a life: what it freed may go once it is committed. */
  lastEnding = 0 as LogPosition;
  /** Topics of which something has expired since retention last asked. */
  private expired = new Set<number>();
  /** How often all that was folded was thrown away. */
  clearings = 0;
  private folded = 0 as LogPosition;
  private indexFrom = 0;
  private stateFrom = 0;
  /** By record kind; directory and sizes are called by name. */
  private readonly folders: (readonly StateView[])[] = [];
  private readonly arrivals: Arrivals;
  private readonly listeners: Arrived[] = [];
  /** Segments that were sealed before all of them was folded, which happens to whoever folds at the commit. */
  private sealedAhead: LogPosition[] = [];
  private failure: MqError | undefined;
  private notes: RecordNotes | undefined;

  constructor(private readonly parts: FoldingParts) {
    this.pending = new PendingMessages(parts.pendingWindowBytes);
    this.released = new ReleasedPending(this.pending, (key) => parts.coldPiece(this.released, key));
    const others = [new Epochs(parts.epochs), this.featureLevel, this.pending, this.released, ...parts.views];
    this.views = [this.directory, this.sizes, ...others];
    for (const kind of Object.values(RecordKind)) this.folders[kind] = others.filter((view) => view.kinds.has(kind));
    this.arrivals = new Arrivals(this.directory, (topicId, queueId) => {
      for (const listener of this.listeners) listener(topicId as TopicId, queueId as QueueId);
    });
  }

  /** All records below it have been folded. */
  get end(): LogPosition {
    return this.folded;
  }

  /** Answers how to end it. */
  onArrival(listener: Arrived): () => void {
    return addTo(this.listeners, listener);
  }

  /** The views stand at `stateFrom`, as they were loaded; the index of the active segment is empty. */
  begin(indexFrom: LogPosition, stateFrom: LogPosition): void {
    this.indexFrom = indexFrom;
    this.stateFrom = stateFrom;
    this.folded = Math.min(indexFrom, stateFrom) as LogPosition;
    this.notes?.begin(this.folded);
  }

  /** Everything folded is forgotten. */
  clear(): void {
    for (const view of this.views) view.clear();
    this.arrivals.clear();
    this.notes?.clear();
    this.sealedAhead = [];
    this.lastEnding = 0 as LogPosition;
    this.clearings += 1;
  }

  /**
   * The fold of the next record. Its bytes, and the record itself, are valid during the call. `head` is what its payload
   * begins with, where that is easier to come by: the envelope of a message lies in it.
   */
  apply(record: LogRecord, head = record.payload): void {
    const { position } = record;
    if (this.folders[record.kind] === undefined) throw this.refused(record);
    try {
      if (position >= this.indexFrom) this.applyToIndex(record, head);
      if (position >= this.stateFrom) this.applyToState(record);
    } catch (caught) {
      if (record.kind === RecordKind.featureLevel && caught instanceof MqError) {
        this.failure ??= caught;
        throw caught;
      }
      this.failed(record, caught);
    }
    this.folded = (position + record.size) as LogPosition;
    this.notes?.note(record.kind, position, record.size);
  }

  /** From now on notes where records of these kinds stand. */
  noteKinds(kinds: Iterable<RecordKind>): RecordNotes {
    this.notes = new RecordNotes(kinds);
    if (this.isWhole) this.notes.begin(this.folded);
    return this.notes;
  }

  /** Nothing is decided on views that missed a record, nor stored of them. @throws MqError */
  checkWhole(): void {
    if (this.failure) throw this.failure;
  }
  get isWhole(): boolean {
    return this.failure === undefined;
  }

  /** Topics of which something has expired since it was last asked. */
  takeExpired(): ReadonlySet<number> {
    const { expired } = this;
    this.expired = new Set();
    return expired;
  }

  /** All below `end` is committed: consumers may see it, and those who listen are told where something is new. */
  committed(end: LogPosition): void {
    this.arrivals.commit(end);
  }

  /** The same at the start: nobody waits for what was there before. */
  settle(): void {
    this.arrivals.clear();
    this.directory.commitAll();
  }

  /** The log has sealed the segment. Its index is written once all of it is folded. */
  sealed(first: LogPosition): void {
    if (first < this.parts.indexes.current.first) this.parts.indexes.onSealed(first);
    else this.sealedAhead.push(first);
  }

  /**
   * The log has the record and a view does not: memory is no longer what the log says. Whoever appended it must not be
   * answered; the next start folds the log anew.
   */
  private failed({ kind, position }: LogRecord, caught: unknown): never {
    const said = caught instanceof Error ? caught.message : String(caught);
    const promise = `the record of kind ${kind} at log position ${position} is folded: ${said}`;
    this.failure = new MqError('INTERNAL', promise, { cause: caught });
    this.parts.onFailed(this.failure);
    throw broken(promise, caught);
  }

  /** What is behind the record can't be folded without it. Its bytes are whole, and kept. */
  private refused({ kind, position }: LogRecord): MqError {
    this.failure ??= tooNew(`the log holds a record of kind ${kind}, which this release does not know,`, position);
    return this.failure;
  }

  private applyToIndex(record: LogRecord, head: Uint8Array): void {
    const { indexes } = this.parts;
    const { position, size } = record;
    if (position + size - indexes.current.first > this.parts.segmentBytes) this.roll(position);
    const index = indexes.current;
    const local = foldIntoIndex(index, record, head);
    // Below the checkpoint the directory already knows what comes later: where the queue was before is not known.
    if (local < 0 || record.queueOffset === 0 || position < this.stateFrom || !index.isNew(local)) return;
    const queue = this.directory.find(record.topicId, record.queueId);
    if (queue >= 0) index.setPrev(local, indexes.segmentAt(this.directory.lastOf(queue)));
  }

  /** The log begins a new segment with a record that does not fit the last one; so does its index. */
  private roll(position: LogPosition): void {
    const { indexes } = this.parts;
    const { first } = indexes.current;
    if (position === first) return; // A record larger than a segment has one of its own.
    indexes.roll(position);
    if (this.sealedAhead[0] === first) indexes.onSealed(this.sealedAhead.shift() as LogPosition);
  }

  private applyToState(record: LogRecord): void {
    const { kind } = record;
    switch (kind) {
      case RecordKind.message:
      case RecordKind.transferred:
      case RecordKind.transferredLetter:
      case RecordKind.returnedLetter:
        this.grow(record);
        break;
      case RecordKind.reference:
        this.grow(record);
        this.parts.indexes.noteReference(referenceTarget(record.payload));
        this.endsLives(record);
        break;
      case RecordKind.dropped:
      case RecordKind.transferPendingDone:
        this.endsLives(record);
        break;
      case RecordKind.expiry:
        eachExpired(record.payload, (topicId) => this.expired.add(topicId));
        this.shrink(record);
        break;
      case RecordKind.topicDeleted: {
        const gone = decodeTopicDeleted(record.payload) as number;
        this.arrivals.forget((queue) => this.directory.topicOf(queue) === gone);
        this.shrink(record);
        break;
      }
      case RecordKind.liteTopicsDeleted: {
        const gone = new Set<number>();
        eachLiteQueueGone(record.payload, (lite) => gone.add(this.directory.find(lite.topicId, lite.queueId)));
        this.arrivals.forget((queue) => gone.has(queue));
        this.shrink(record);
        this.parts.indexes.livesChanged();
        break;
      }
      default: // Only the views below know it.
    }
    for (const view of this.folders[kind] ?? []) view.fold(record);
  }

  private grow({ topicId, queueId, queueOffset, position, size }: LogRecord): void {
    const queue = this.directory.advance(topicId, queueId, queueOffset, position, size);
    this.sizes.grow(topicId, size);
    this.arrivals.add(queue, queueOffset, position + size);
  }

  private shrink(record: LogRecord): void {
    this.directory.fold(record);
    this.sizes.fold(record);
    this.endsLives(record);
  }

  private endsLives({ position, size }: LogRecord): void {
    this.lastEnding = (position + size) as LogPosition;
  }
}
