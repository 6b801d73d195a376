import type { DecidedRecord, Dropped, Epoch, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';
import type {
  Appended,
  Candidate,
  IndexEntries,
  MessageDraft,
  PendingKind,
  StorePorts,
  Placed,
  QueuedKind,
  QueueSize,
  ReadMessage,
  ReferenceDraft,
  StoredMessage,
} from '@cometmq/store';

/**
 * The store as one term of leadership has it. Once the term is over nothing that was begun in it gets into the log any
 * more, whatever it still waits for; not in a later term of the same leader either. Reading goes on.
 */
export class TermStore {
  readonly epoch: Epoch;
  private over: MqError | undefined;
  /** Why nothing is written now: for good, or for a moment. */
  private refusal: MqError | undefined;
  private readonly disposers: (() => void)[] = [];

  constructor(private readonly store: StorePorts) {
    this.epoch = store.epoch;
  }

  /** Nothing is written, and nobody is told of anything, from now on. */
  end(error: MqError): void {
    this.over ??= error;
    this.refusal = this.over;
    for (const dispose of this.disposers.splice(0)) dispose();
  }

  /** Nothing is written until it is taken back; what was is still told of. */
  hold(why: MqError | undefined): void {
    this.refusal = this.over ?? why;
  }

  // ---- writing: all of it @throws MqError NOT_LEADER once the term is over, TOO_MANY_REQUESTS while it is held

  appendMessage(draft: MessageDraft, kind?: QueuedKind): Appended {
    if (this.refusal) throw this.refusal;
    return this.store.appendMessage(draft, kind);
  }
  appendReference(draft: ReferenceDraft, following?: DecidedRecord): Appended {
    if (this.refusal) throw this.refusal;
    return this.store.appendReference(draft, following);
  }
  appendPending(draft: MessageDraft, kind?: PendingKind): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.appendPending(draft, kind);
  }
  appendDropped(list: readonly Dropped[], timestampMs: number): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.appendDropped(list, timestampMs);
  }
  append(...[kind, timestampMs, payload]: Parameters<StorePorts['append']>): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.append(kind, timestampMs, payload);
  }
  appendAll(records: readonly DecidedRecord[], timestampMs: number): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.appendAll(records, timestampMs);
  }
  deleteTopic(topicId: TopicId, timestampMs: number): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.deleteTopic(topicId, timestampMs);
  }
  deleteLiteQueues(record: DecidedRecord, timestampMs: number): Placed {
    if (this.refusal) throw this.refusal;
    return this.store.deleteLiteQueues(record, timestampMs);
  }

  // ---- commit

  get appendEnd(): LogPosition {
    return this.store.appendEnd;
  }
  /** What another leader has written behind this term's end tells nobody of this term anything. */
  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void {
    if (this.over) act(this.over);
    else this.store.whenCommitted(end, act);
  }
  beforeBatch(act: () => void): () => void {
    return this.untilOver(this.store.beforeBatch(act));
  }
  requestBatch(): void {
    if (!this.over) this.store.requestBatch();
  }
  onArrival(listener: (topicId: TopicId, queueId: QueueId) => void): () => void {
    return this.untilOver(this.store.onArrival(listener));
  }

  // ---- reading

  get damage(): StorePorts['damage'] {
    return this.store.damage;
  }
  get diskFull(): boolean {
    return this.store.diskFull;
  }
  topicIds(): TopicId[] {
    return this.store.topicIds();
  }
  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.store.firstOf(topicId, queueId);
  }
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.store.committedOf(topicId, queueId);
  }
  bounds(topicId: TopicId, queueId: QueueId): ReturnType<StorePorts['bounds']> {
    return this.store.bounds(topicId, queueId);
  }
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    return this.store.queueSize(topicId, queueId);
  }
  positionAtTime(timeMs: number): Promise<LogPosition> {
    return this.store.positionAtTime(timeMs);
  }
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    return this.store.offsetAtTime(topicId, queueId, timeMs);
  }
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    return this.store.scan(topicId, queueId, from, max);
  }
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    return this.store.scanInMemory(topicId, queueId, from, max);
  }
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.store.payloadInMemory(position, size);
  }
  read(position: LogPosition, size: number): Promise<StoredMessage> {
    return this.store.read(position, size);
  }
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.store.readAll(wanted);
  }
  sizesOf(wanted: readonly Candidate[]): readonly number[] | Promise<readonly number[]> {
    return this.store.sizesOf(wanted);
  }
  readSome(wanted: readonly Candidate[], bytesMax: number): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.store.readSome(wanted, bytesMax);
  }
  lookUp(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    return this.store.lookUp(wanted);
  }
  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.store.findById(topicId, idHash, max);
  }
  findByKey(...asked: Parameters<StorePorts['findByKey']>): Promise<Candidate[]> {
    return this.store.findByKey(...asked);
  }
  findReferences(target: LogPosition, max: number): Promise<Candidate[]> {
    return this.store.findReferences(target, max);
  }
  coldPiece(...[view, key]: Parameters<StorePorts['coldPiece']>): Uint8Array | undefined {
    return this.store.coldPiece(view, key);
  }

  private untilOver(dispose: () => void): () => void {
    this.disposers.push(dispose);
    return dispose;
  }
}
