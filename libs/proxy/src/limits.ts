/**
 * What the front door allows. Defaults are RocketMQ's where it has one: clients are built around them.
 */
import { KiB, MiB } from '@cometmq/model';

export interface MessagingLimits {
  /** As sent, after the client's own compression. Clients ask for it in their settings. */
  readonly bodyBytesMax: number;
  /** Keys and values of user properties, the tag and the keys, together. */
  readonly propertyBytesMax: number;
  readonly propertiesMax: number;
  readonly messageKeysMax: number;
  /** All of a message but its body, unknown fields counted. */
  readonly overheadBytesMax: number;
  readonly messageIdBytesMax: number;
  readonly messageGroupBytesMax: number;
  readonly delayMsMax: number;
  readonly liteTopicBytesMax: number;
  readonly orphanRecoveryMsMax: number;

  readonly receiveBatchMax: number;
  /** What one answer to a receive may carry; a single message may be larger. */
  readonly receiveBytesMax: number;
  readonly pollMsMax: number;
  readonly invisibleMsMin: number;
  readonly invisibleMsMax: number;
  /** The first lease of a message whose client wants it renewed. */
  readonly autoRenewLeaseMs: number;

  /** A client that has not been heard of for this long is gone. */
  readonly sessionMsMax: number;
  readonly sessionReportMs: number;
  readonly sessionsMax: number;

  /** Messages of one send, entries of one acknowledgement. */
  readonly entriesMax: number;
  /** More than these at once: TOO_MANY_REQUESTS. */
  readonly sendsMax: number;
  readonly sendBytesMax: number;
  readonly pollsMax: number;
  /** For each consumer group and topic. */
  readonly pollsPerGroupMax: number;
  /** Acknowledgements, changes of leases and the like. */
  readonly callsMax: number;

  /** How long a call without a deadline may take. */
  readonly requestMsMax: number;
  /** An error is answered to a receive after this long: some clients repeat at once. */
  readonly receiveErrorDelayMs: number;
  /** How long `stop` waits for calls under way. */
  readonly stopMsMax: number;
}

export const defaultLimits: MessagingLimits = {
  bodyBytesMax: 4 * MiB,
  propertyBytesMax: 16 * KiB,
  propertiesMax: 128,
  messageKeysMax: 1024,
  overheadBytesMax: 64 * KiB,
  messageIdBytesMax: 255,
  messageGroupBytesMax: 63,
  delayMsMax: 40 * 24 * 3_600_000,
  liteTopicBytesMax: 64,
  orphanRecoveryMsMax: 3_600_000,

  receiveBatchMax: 32,
  receiveBytesMax: 16 * MiB,
  pollMsMax: 20_000,
  invisibleMsMin: 10_000,
  invisibleMsMax: 12 * 3_600_000,
  autoRenewLeaseMs: 60_000,

  sessionMsMax: 120_000,
  sessionReportMs: 5_000,
  sessionsMax: 100_000,

  entriesMax: 1_024,
  sendsMax: 20_000,
  sendBytesMax: 256 * MiB,
  pollsMax: 100_000,
  pollsPerGroupMax: 4_096,
  callsMax: 50_000,

  requestMsMax: 3_000,
  receiveErrorDelayMs: 1_000,
  stopMsMax: 5_000,
};

/** Where clients are told to find the queues. `echo`: where they already are, for one address in front of all. */
export type Advertised =
  { readonly kind: 'echo' } | { readonly kind: 'address'; readonly host: string; readonly port: number };
