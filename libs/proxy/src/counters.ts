/**
 * What the front door counts, in plain numbers that only grow; telemetry reads them when somebody asks. Series exist
 * only for topics and groups that exist, so a stranger can't make them many.
 */
import type { MessageType } from '@cometmq/model';
import { Buckets } from '@cometmq/telemetry';

export const latencyBoundsMs = [1, 3, 5, 7, 10, 100, 1000, 2000, 3000] as const;
export const sizeBoundsBytes = [1024, 4096, 524_288, 1_048_576, 2_097_152, 4_194_304] as const;

export class TopicIn {
  messages = 0;
  bytes = 0;
  readonly size = new Buckets(sizeBoundsBytes);
}

export class GroupOut {
  /** First deliveries. */
  messages = 0;
  bytes = 0;
  /** Deliveries after the first. */
  retries = 0;
  retryBytes = 0;
  acks = 0;
  deadLetters = 0;
}

/** Calls of one method that ended with one code. */
export class RpcSeries {
  readonly latencyMs = new Buckets(latencyBoundsMs);

  constructor(
    readonly method: string,
    readonly code: number,
  ) {}
}

export class MessagingCounters {
  /** By topic, then by message type. */
  readonly in = new Map<string, Map<MessageType, TopicIn>>();
  /** By topic, then by consumer group. */
  readonly out = new Map<string, Map<string, GroupOut>>();
  private readonly rpcs = new Map<string, Map<number, RpcSeries>>();
  /** Requests turned away with TOO_MANY_REQUESTS, by what was full. */
  readonly throttled = { sends: 0, polls: 0, calls: 0 };
  /** Requests that could not be decoded. */
  malformed = 0;
  /** Sends and acknowledgements that waited for a leader. */
  parked = 0;
  /** Messages given back because their stream had gone. */
  handedBack = 0;

  topicIn(topic: string, type: MessageType): TopicIn {
    let types = this.in.get(topic);
    if (!types) this.in.set(topic, (types = new Map<MessageType, TopicIn>()));
    let series = types.get(type);
    if (!series) types.set(type, (series = new TopicIn()));
    return series;
  }

  groupOut(topic: string, group: string): GroupOut {
    let groups = this.out.get(topic);
    if (!groups) this.out.set(topic, (groups = new Map<string, GroupOut>()));
    let series = groups.get(group);
    if (!series) groups.set(group, (series = new GroupOut()));
    return series;
  }

  rpc(method: string, code: number): RpcSeries {
    let codes = this.rpcs.get(method);
    if (!codes) this.rpcs.set(method, (codes = new Map<number, RpcSeries>()));
    let series = codes.get(code);
    if (!series) codes.set(code, (series = new RpcSeries(method, code)));
    return series;
  }

  *rpcSeries(): IterableIterator<RpcSeries> {
    for (const codes of this.rpcs.values()) yield* codes.values();
  }

  /** A deleted topic's series end. */
  forgetTopic(topic: string): void {
    this.in.delete(topic);
    this.out.delete(topic);
  }

  forgetGroup(group: string): void {
    for (const groups of this.out.values()) groups.delete(group);
  }
}
