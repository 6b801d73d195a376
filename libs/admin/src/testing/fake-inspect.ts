import type {
  BusyLanes,
  ConnectedClients,
  FoundMessage,
  GroupMove,
  InspectAdmin,
  LagPoint,
  MessageContent,
  MessageFindings,
  MessageLife,
  MessagePlace,
  MessageQuery,
} from '@cometmq/client';

/** Logs that say what they were told to: messages of each set in the order of their positions. */
export class FakeInspect implements InspectAdmin {
  readonly messages = new Map<string, FoundMessage[]>();
  readonly contents = new Map<number, MessageContent>();
  readonly lives = new Map<number, MessageLife>();
  readonly connected = new Map<string, ConnectedClients>();
  readonly busy = new Map<string, BusyLanes>();
  readonly lags = new Map<string, LagPoint[]>();
  readonly moved = new Map<string, GroupMove[]>();
  readonly queries: MessageQuery[] = [];
  /** How many messages one part looks at. */
  partMax = 1_000;
  /** Waited for before each part of a search and each body. */
  before: (() => Promise<void>) | undefined;

  /** @param check throws for a set that does not answer */
  constructor(private readonly check: (brokerSet: string) => unknown) {}

  reset(): void {
    for (const all of [this.messages, this.contents, this.lives, this.connected, this.busy, this.lags, this.moved])
      all.clear();
    this.queries.length = 0;
    this.partMax = 1_000;
    this.before = undefined;
  }

  async clients(brokerSet: string): Promise<ConnectedClients> {
    this.check(brokerSet);
    return this.connected.get(brokerSet) ?? { members: [], producers: [] };
  }

  async findMessages(brokerSet: string, query: MessageQuery): Promise<MessageFindings> {
    this.check(brokerSet);
    this.queries.push(query);
    await this.before?.();
    const all = (this.messages.get(brokerSet) ?? [])
      .filter(({ topicId, position }) => topicId === query.topicId && (query.before === 0 || position < query.before))
      .sort((a, b) => b.position - a.position);
    const messages: FoundMessage[] = [];
    let looked = 0;
    for (const message of all) {
      if (messages.length >= query.max || looked >= this.partMax) break;
      looked += 1;
      if (query.tag === '' || message.tag === query.tag) messages.push(message);
    }
    const left = all.length - looked;
    return { messages, looked, left, next: left === 0 ? 0 : (all[looked - 1]?.position ?? 0) };
  }

  async readMessage(brokerSet: string, { position }: MessagePlace): Promise<MessageContent | undefined> {
    this.check(brokerSet);
    await this.before?.();
    return this.contents.get(position);
  }

  async messageLife(brokerSet: string, { position }: MessagePlace): Promise<MessageLife> {
    this.check(brokerSet);
    return this.lives.get(position) ?? { events: [], indexedTo: 0, cut: false };
  }

  async lanes(brokerSet: string): Promise<BusyLanes> {
    this.check(brokerSet);
    return this.busy.get(brokerSet) ?? { lanes: [], total: 0 };
  }

  async lagHistory(brokerSet: string, _groupId: unknown, fromMs: number): Promise<readonly LagPoint[]> {
    this.check(brokerSet);
    return (this.lags.get(brokerSet) ?? []).filter(({ atMs }) => atMs >= fromMs);
  }

  async moves(brokerSet: string): Promise<readonly GroupMove[]> {
    this.check(brokerSet);
    return this.moved.get(brokerSet) ?? [];
  }
}
