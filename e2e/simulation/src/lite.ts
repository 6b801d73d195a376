/** Lite topics as a client's library subscribes to them; `PublicClient` has no subscriptions. */
import {
  Code,
  LiteSubscriptionAction,
  SyncLiteSubscriptionRequest,
  SyncLiteSubscriptionResponse,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { call } from './raw-call.js';
import type { SimClient } from './world.js';

/** Libraries say again every 30 s what they subscribe to; this one more often, as its runs are short. */
const againMs = 5_000;

/** One client's subscription of lite topics of one topic. */
export class LiteSubscription {
  private saidMs = -Infinity;

  constructor(
    private readonly client: SimClient,
    private readonly group: string,
    private readonly topic: string,
    private readonly liteTopics: readonly string[],
  ) {}

  /** Says what it subscribes to, where it is time. @throws MqError */
  async keep(): Promise<void> {
    const nowMs = this.client.process.monotonicMs();
    if (nowMs < this.saidMs + againMs) return;
    const request = SyncLiteSubscriptionRequest.fromPartial({
      action: LiteSubscriptionAction.COMPLETE_ADD,
      topic: { name: this.topic },
      group: { name: this.group },
      liteTopicSet: [...this.liteTopics],
    });
    const bytes = SyncLiteSubscriptionRequest.encode(request).finish();
    const { status } = SyncLiteSubscriptionResponse.decode(await call(this.client, 'SyncLiteSubscription', bytes));
    if (status?.code !== Code.OK) throw new MqError('UNAVAILABLE', status?.message ?? 'no answer');
    this.saidMs = nowMs;
  }
}
