import { failureFacts, type MqError } from '@cometmq/shared';
import { MessageStore } from '@cometmq/store';

import type { BrokerOptions } from '../broker-options.js';
import type { SetViews } from '../set-views.js';
import { startWithHelp } from './restoring.js';

interface StoreEvents {
  onFailed(error: MqError): void;
  /** Told from within a write of the log. */
  onFull(): void;
  onSynced(tookMs: number, messages: number): void;
}

/** The store of a member, as its settings bound it, with the views of its set; it follows until it takes the lead. */
export function memberStore(options: BrokerOptions, { all: views }: SetViews, events: StoreEvents): MessageStore {
  const { disk, folder, brokerName, clock, log, checkpoints, giveUpDamage } = options;
  return new MessageStore({
    ...{ disk, folder, brokerName, clock, views, giveUpDamage, follows: true },
    ...(checkpoints && { checkpoints }),
    limits: {
      segmentBytes: options.segmentBytes,
      recordBytesMax: options.recordBytesMax,
      freeBytesMin: options.diskFreeBytesMin,
      pendingMessageBytesMax: options.pendingBytesMax,
      ...(options.diskQueueBytesMax !== undefined && {
        pendingBytesMax: Math.max(options.diskQueueBytesMax, 2 * options.recordBytesMax),
      }),
      ...(options.scrubBytesPerSecond !== undefined && { scrubBytesPerSecond: options.scrubBytesPerSecond }),
      ...(options.scrubEveryMs !== undefined && { scrubEveryMs: options.scrubEveryMs }),
      ...options.storeLimits,
    },
    onFailed: (error) => events.onFailed(error),
    onFull: () => events.onFull(),
    onSynced: (tookMs, messages) => events.onSynced(tookMs, messages),
    onTailCut: (cut) => log.warn(cut, 'what stands behind the end of the log is cut off: never synced, or given up'),
    onDamage: ({ first, end, what }) => log.error({ first, end, what }, 'part of the log is lost'),
    onTrouble: (what, cause) => log.warn(cause === undefined ? {} : failureFacts(cause), what),
  });
}

/** Opens it. What one member has lost the others have. */
export async function startMemberStore(store: MessageStore, options: BrokerOptions): Promise<void> {
  const { registry, peers, brokerName: brokerSet, memberName = '', membersWanted = 1, clock, log } = options;
  const startedMs = clock.monotonicMs();
  if (membersWanted < 2 || !peers) await store.start();
  else {
    const place = memberName === '' ? brokerSet : memberName;
    await startWithHelp({ store, registry, peers, brokerSet, place, clock, log });
  }
  if (!store.recovered) return;
  const { from, end } = store.recovered;
  log.warn(
    { broker: brokerSet, from, end, tookMs: Math.round(clock.monotonicMs() - startedMs) },
    'recovered: the last stop was not a clean one, and the log was read again from its last checkpoint',
  );
}
