import type { IDuplexStream, IWatchRequest, IWatchResponse } from 'etcd3';

import { MqError, throwAssertion, type Clock, type Timer } from '@cometmq/shared';

import type { Change, Range, StoreUpdate } from '../metadata-store.js';

export interface WatchSource {
  /** The whole as it is now, and the id of the etcd cluster that says so. */
  range(): Promise<Range & { readonly storeId: string }>;
  stream(): Promise<IDuplexStream<IWatchRequest, IWatchResponse>>;
  readonly bounds: { readonly key: Buffer; readonly range_end: Buffer };
  /** Undefined: not for the listener's eyes. */
  change(event: IWatchResponse['events'][number]): Change | undefined;
  lost(error: unknown): void;
  /** The stream is given up: it failed, or says nothing any more. */
  gaveUp(stream: WatchStream): void;
  /** Etcd answers on the stream. */
  found(stream: WatchStream): void;
}

/** While nothing changes, the stream is asked for a sign of life this often; none by the next time: it is dead. */
const quietMsMax = 5_000;
const retryMsMin = 50;
const retryMsMax = 1_000;

type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;

/**
 * One watch on etcd, kept up for ever: it goes on behind the last revision that it has told, so a broken connection
 * costs nothing; where etcd has compacted that away, has been set back to an older backup, or is another cluster, the
 * whole is told again.
 */
export class WatchLoop {
  private nextRevision: number | undefined;
  /** The etcd cluster that has told it; undefined: none yet. */
  private etcd: string | undefined;
  /** Of etcd's elections: one that is set back begins anew, and may have come further since. */
  private term = 0;
  private stream: WatchStream | undefined;
  private timer: Timer | undefined;
  private retryMs = retryMsMin;
  private heard = false;
  private stopped = false;

  constructor(
    private readonly source: WatchSource,
    private readonly listener: (update: StoreUpdate) => void,
    private readonly clock: Clock,
    after: number | undefined,
  ) {
    this.nextRevision = after === undefined ? undefined : after + 1;
    void this.run();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.stream?.cancel();
    this.stream = undefined;
  }

  /** Only what etcd was asked for may fail and be asked for again: what the listener throws ends the process. */
  private async run(): Promise<void> {
    if (this.nextRevision === undefined) {
      const whole = await this.asked(() => this.source.range());
      if (!whole || this.stopped) return;
      this.etcd = whole.storeId;
      this.nextRevision = whole.revision + 1;
      this.listener({ kind: 'snapshot', revision: whole.revision, pairs: whole.pairs });
    }
    const stream = await this.asked(() => this.source.stream());
    if (!stream) return;
    if (this.stopped) stream.cancel();
    else this.attach(stream);
  }

  /** Undefined: it failed, and all is tried again later. */
  private async asked<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (caught) {
      throwAssertion(caught);
      this.again(caught);
      return undefined;
    }
  }

  private attach(stream: WatchStream): void {
    this.stream = stream;
    const mine = (act: () => void): void => {
      if (this.stream === stream && !this.stopped) act();
    };
    stream.on('data', (response) => mine(() => this.take(response)));
    // An error that comes after the stream was given up still needs somebody to hear it.
    stream.on('error', (error) => mine(() => this.again(error)));
    stream.on('end', () => mine(() => this.again(new MqError('UNAVAILABLE', 'etcd ended the watch'))));
    const create = { ...this.source.bounds, start_revision: this.nextRevision ?? 0, progress_notify: true };
    stream.write({ create_request: create });
    this.heard = true;
    this.lookAfter(stream);
  }

  private take(response: IWatchResponse): void {
    this.heard = true;
    if (response.canceled) {
      if (Number(response.compact_revision) > 0) this.nextRevision = undefined;
      return this.again(new MqError('UNAVAILABLE', `etcd cancelled the watch: ${response.cancel_reason}`), true);
    }
    if (response.created) {
      const { cluster_id: etcd } = response.header;
      if (this.etcd !== undefined && this.etcd !== etcd) {
        this.nextRevision = undefined; // Its revisions count other changes.
        return this.again(new MqError('UNAVAILABLE', 'another etcd cluster answers than before'), true);
      }
      this.etcd = etcd;
      const term = Number(response.header.raft_term);
      const behind = Number(response.header.revision) < (this.nextRevision ?? 0) - 1;
      if (behind || term < this.term) {
        this.nextRevision = undefined;
        this.term = 0;
        return this.again(
          new MqError('UNAVAILABLE', 'etcd is older than what it told before: a backup was restored'),
          true,
        );
      }
      this.term = term;
      this.retryMs = retryMsMin;
      if (this.stream) this.source.found(this.stream);
      return;
    }
    this.tell(response.events);
  }

  /** All events of one revision come in one response, in the order of revisions. */
  private tell(events: IWatchResponse['events']): void {
    let at = 0;
    while (at < events.length && !this.stopped) {
      const revision = Number(events[at]?.kv.mod_revision);
      const changes: Change[] = [];
      for (; at < events.length; at += 1) {
        const event = events[at];
        if (!event || Number(event.kv.mod_revision) !== revision) break;
        const change = this.source.change(event);
        if (change) changes.push(change);
      }
      if (revision < (this.nextRevision ?? 0)) continue;
      this.nextRevision = revision + 1;
      if (changes.length > 0) this.listener({ kind: 'changes', revision, changes });
    }
  }

  private lookAfter(stream: WatchStream): void {
    this.timer?.cancel();
    this.timer = this.clock.after(quietMsMax, () => {
      if (this.stream !== stream || this.stopped) return;
      if (!this.heard) return this.again(new MqError('UNAVAILABLE', 'the watch on etcd gives no sign of life'));
      this.heard = false;
      stream.write({ progress_request: {} });
      this.lookAfter(stream);
    });
  }

  /** @param answered etcd itself has ended it, and lives */
  private again(error: unknown, answered = false): void {
    if (this.stopped) return;
    const old = this.stream;
    this.stream = undefined;
    old?.cancel();
    if (old && !answered) this.source.gaveUp(old);
    this.source.lost(error);
    this.timer?.cancel();
    this.timer = this.clock.after(this.retryMs, () => void this.run());
    this.retryMs = Math.min(this.retryMs * 2, retryMsMax);
  }
}
