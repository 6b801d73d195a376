import { GroupsView, PullOffsets, TransfersView } from '@cometmq/consumption';
import { LiteTopicsView } from '@cometmq/lite';
import type { StateView } from '@cometmq/store';
import { TimersView } from '@cometmq/timers';
import { TransactionsView } from '@cometmq/transactions';

import { DedupWindow } from './dedup-window.js';
import { MetadataView } from './metadata-view.js';

/** What the records of a broker set's log come to, beside what the store keeps itself: the same on every member. */
export class SetViews {
  readonly transfers = new TransfersView();
  readonly groups = new GroupsView({}, this.transfers);
  readonly pullOffsets = new PullOffsets();
  readonly dedupWindow = new DedupWindow();
  readonly liteTopics = new LiteTopicsView();
  readonly delayed = new TimersView();
  readonly halfMessages = new TransactionsView();
  readonly metadata = new MetadataView();

  get all(): readonly StateView[] {
    const { transfers, groups, pullOffsets, dedupWindow, liteTopics, delayed, halfMessages, metadata } = this;
    return [transfers, groups, pullOffsets, dedupWindow, liteTopics, delayed, halfMessages, metadata];
  }
}
