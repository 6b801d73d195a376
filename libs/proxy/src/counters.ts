/**
 * What the front context counts, in plain numbers that only grow; telemetry reads them when somebody asks.
 */
import { Buckets } from '@cometmq/telemetry';

export const latencyBoundsMs = [1, 3, 5, 7, 10, 100, 1000, 2000, 3000] as const;
/** Calls of one method that ended with one code. */
export class RpcSeries {
  readonly latencyMs = new Buckets(latencyBoundsMs);

  constructor(
    readonly method: string,
    readonly code: number,
  ) {}
}

export class MessagingCounters {
  private readonly rpcs = new Map<string, Map<number, RpcSeries>>();
  /**
   * Requests turned away with TOO_MANY_REQUESTS, by what was full or used up: on this node sends, polls, calls and
   * Telemetry streams (clients: see `SessionRegistry.refused`); a user's quota; a topic's, group's or address's rate.
   */
  readonly throttled = { sends: 0, polls: 0, calls: 0, streams: 0, quota: 0, rate: 0 };
  /** Requests that could not be decoded. */
  malformed = 0;
  /** Sends and acknowledgements that waited for a leader. */
  parked = 0;
  /** Messages given back because their stream had gone. */
  handedBack = 0;

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
}
