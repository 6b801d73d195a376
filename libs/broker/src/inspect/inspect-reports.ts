import type {
  BusyLanes,
  ConnectedClients,
  GroupMove,
  InspectAdmin,
  LagPoint,
  LaneState,
  LetterReplay,
  LettersAsked,
  MessageContent,
  MessageFindings,
  MessageLife,
  MessagePlace,
  MessageQuery,
} from '@cometmq/client';
import type { BusyLane } from '@cometmq/consumption';
import { decodeGroupMoved, Envelope, type GroupId } from '@cometmq/model';
import { MqError, Pacing, type Clock, type Component } from '@cometmq/shared';
import type { Candidate, Disk, LogRecord, StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { BrokerService } from '../broker-service.js';
import { Subject } from './decision-entries.js';
import { DecisionIndex } from './decision-index.js';
import { LagHistory, type OldestWaiting } from './lag-history.js';
import { LetterReplays } from './letter-replays.js';
import { MessageLives, messageRecord } from './message-life.js';
import { messageContent } from './message-parts.js';
import { MessageSearch } from './message-search.js';

export interface InspectOptions {
  readonly broker: BrokerService;
  readonly disk: Disk;
  /** On the disk, beside the log. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the event loop has been at work: searches rest while others keep it busy. */
  readonly activeMs?: () => number;
  /** Log covered by a file of the index of decisions, if not as much as usual. */
  readonly indexPieceBytes?: number;
}

const findingsMax = 1_000;
const lanesMax = 1_000;
const movesMax = 1_000;
const bodyBytesMax = 4 * 1024 * 1024;

/** What operators look at in the log of the one set that this broker leads. A part: its index follows the log. */
export class InspectReports implements InspectAdmin, Component {
  readonly name = 'inspection';
  private readonly pacing: Pacing;
  private readonly index: DecisionIndex;
  private readonly search: MessageSearch;
  private readonly lives: MessageLives;
  private readonly letters: LetterReplays;
  private readonly history: LagHistory;
  /** Throws for a set that this broker is not of. */
  check: (brokerSet: string) => void = () => undefined;

  constructor(private readonly options: InspectOptions) {
    const { broker, disk, folder, clock, log } = options;
    const store: StorePorts = broker.store;
    const pacing = (this.pacing = new Pacing(clock, options.activeMs));
    this.index = new DecisionIndex(store, disk, folder, { clock, pacing }, log, options.indexPieceBytes);
    this.search = new MessageSearch(store, clock, pacing);
    const within = (ms: number, work: Promise<unknown>): Promise<unknown> =>
      Promise.race([work, new Promise<void>((resolve) => clock.after(ms, resolve))]);
    this.lives = new MessageLives(store, this.index, pacing, within);
    this.letters = new LetterReplays(store, this.index, pacing);
    this.history = new LagHistory(() => ({
      store,
      backlogs: broker.backlogs,
      index: this.index,
      clock,
      pacing,
      log,
      append: broker.note,
    }));
  }

  async start(): Promise<void> {
    await this.index.start();
    await this.history.start();
  }

  async stop(): Promise<void> {
    await this.history.stop();
    await this.index.stop();
  }

  /** Takes a sample of all groups' lag now. */
  sampleLag(): Promise<void> {
    return this.history.sample();
  }

  /** Since when groups wait, as of the last sample. */
  get oldest(): readonly OldestWaiting[] {
    return this.history.oldest;
  }

  clients(brokerSet: string): Promise<ConnectedClients> {
    this.check(brokerSet);
    const { sessions, producers } = this.options.broker;
    const members = [...sessions.groupIds()].flatMap((groupId) => sessions.of(groupId));
    return Promise.resolve({ members, producers: producers.all() });
  }

  async findMessages(brokerSet: string, query: MessageQuery): Promise<MessageFindings> {
    this.check(brokerSet);
    const max = Math.min(findingsMax, Math.max(1, query.max));
    return this.search.find({ ...query, max });
  }

  async readMessage(brokerSet: string, place: MessagePlace, bytesMax: number): Promise<MessageContent | undefined> {
    this.check(brokerSet);
    const { store } = this.options.broker;
    try {
      await messageRecord(store, place);
      const stored = await store.read(place.position, place.size);
      return await messageContent(stored, Math.min(bodyBytesMax, bytesMax));
    } catch (caught) {
      if (caught instanceof MqError && (caught.code === 'NOT_FOUND' || caught.code === 'MESSAGE_NOT_FOUND'))
        return undefined;
      throw caught;
    }
  }

  async messageLife(brokerSet: string, place: MessagePlace): Promise<MessageLife> {
    this.check(brokerSet);
    return this.lives.of(place);
  }

  async lanes(brokerSet: string, groupId: GroupId, max: number): Promise<BusyLanes> {
    this.check(brokerSet);
    const all = [...this.options.broker.groups.busyLanes(groupId)];
    all.sort((a, b) => b.attempt - a.attempt || b.waiting - a.waiting || a.offset - b.offset);
    const lanes: LaneState[] = [];
    const pace = this.pacing.begin();
    for (const lane of all.slice(0, Math.min(lanesMax, Math.max(1, max)))) {
      lanes.push(await this.laneState(lane));
      if (pace.isOver) await pace.rest();
    }
    return { lanes, total: all.length };
  }

  async lagHistory(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly LagPoint[]> {
    this.check(brokerSet);
    return this.history.of(groupId, fromMs);
  }

  async moves(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly GroupMove[]> {
    this.check(brokerSet);
    const records = await this.noted(Subject.moves, groupId, fromMs, movesMax);
    return records.map(({ payload, timestampMs: atMs }) => ({ ...decodeGroupMoved(payload), atMs }));
  }

  /** Which of some dead letters were replayed: of each the last time, oldest first. */
  async replays(brokerSet: string, asked: LettersAsked): Promise<readonly LetterReplay[]> {
    this.check(brokerSet);
    return this.letters.of(asked);
  }

  /** The newest records about a group as a whole, oldest first. */
  private async noted(subject: number, groupId: GroupId, fromMs: number, max: number): Promise<LogRecord[]> {
    const { store } = this.options.broker;
    await this.index.follow();
    const after = await store.positionAtTime(fromMs);
    const places: Candidate[] = [];
    await this.index.find({ topic: subject, queue: groupId, offset: 0, after }, (position, size) =>
      places.push({ position, size }),
    );
    const records = await store.readRecords(places.slice(-max));
    return records.filter((one): one is LogRecord => !(one instanceof MqError) && one.timestampMs >= fromMs);
  }

  /** Its first message tells the message group's name, which the lane knows as a hash only. */
  private async laneState(lane: BusyLane): Promise<LaneState> {
    const { store } = this.options.broker;
    const unknown = { position: 0 as never, size: 0, messageId: '', messageGroup: '', storedMs: 0 };
    const entries = await store.scan(lane.topicId, lane.queueId, lane.offset, 1);
    if (entries.count === 0 || entries.from !== lane.offset) return { ...lane, ...unknown };
    const place = { position: entries.position(0), size: entries.size(0) };
    const [stored] = await store.readAll([place]);
    if (!stored || stored instanceof MqError) return { ...lane, ...unknown, ...place };
    const { id, group } = new Envelope(stored.payload);
    return { ...lane, ...place, messageId: id, messageGroup: group, storedMs: stored.timestampMs };
  }
}
