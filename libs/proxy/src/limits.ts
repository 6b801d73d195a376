/**
 * What the front context allows. Defaults are RocketMQ's where it has one: clients are built around them.
 */
import { KiB, messageRules, MiB } from '@cometmq/model';

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
  /** What is remembered of the words of one client, and of all: topics, groups, filters, labels. About, in bytes. */
  readonly sessionBytesMax: number;
  readonly sessionsBytesMax: number;
  /** Of the settings on all Telemetry streams that are kept, to be told again when a group changes. */
  readonly settingsBytesMax: number;
  /** Telemetry streams that are open. */
  readonly streamsMax: number;

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

  /** Sends (by messages) and polls in a second on this node, and the bytes of their requests; 0: no limit. */
  readonly topicRequestsPerSecond: number;
  readonly topicBytesPerSecond: number;
  readonly groupRequestsPerSecond: number;
  readonly groupBytesPerSecond: number;
  readonly addressRequestsPerSecond: number;
  readonly addressBytesPerSecond: number;

  /** Of one request, encoded, where its method has no limit of its own; room for the longest filter expression. */
  readonly requestBytesMax: number;
  /** Of acknowledgements and subscriptions to lite topics, which list many. */
  readonly listBytesMax: number;
  /** Of what clients say on a Telemetry stream: settings, and the stacks of their threads. */
  readonly telemetryBytesMax: number;
  /** Fields in one request, nested ones counted; of sends and lists. Counted on the wire, before anything is made. */
  readonly fieldsMax: number;
  readonly listFieldsMax: number;
  /** Addresses of an access point, and characters of a namespace or a host: they come back with every queue. */
  readonly addressesMax: number;
  readonly nameLengthMax: number;

  /** Topics and groups that first uses by clients of one address may make in a minute; 0: no limit. */
  readonly creationsPerAddressMax: number;

  /** How long a call without a deadline may take. */
  readonly requestMsMax: number;
  /** An error is answered to a receive after this long: some clients repeat at once. */
  readonly receiveErrorDelayMs: number;
  /** How long `stop` waits for calls under way. */
  readonly stopMsMax: number;
}

export const defaultLimits: MessagingLimits = {
  ...messageRules,
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
  sessionBytesMax: 512 * KiB,
  sessionsBytesMax: 32 * MiB,
  settingsBytesMax: 32 * MiB,
  streamsMax: 200_000,

  creationsPerAddressMax: 1_000,

  entriesMax: 1_024,
  sendsMax: 20_000,
  sendBytesMax: 256 * MiB,
  pollsMax: 100_000,
  pollsPerGroupMax: 4_096,
  callsMax: 50_000,
  topicRequestsPerSecond: 0,
  topicBytesPerSecond: 0,
  groupRequestsPerSecond: 0,
  groupBytesPerSecond: 0,
  addressRequestsPerSecond: 0,
  addressBytesPerSecond: 0,

  requestBytesMax: 128 * KiB,
  listBytesMax: 8 * MiB,
  telemetryBytesMax: 4 * MiB,
  fieldsMax: 10_000,
  listFieldsMax: 100_000,
  addressesMax: 64,
  nameLengthMax: 255,

  requestMsMax: 3_000,
  receiveErrorDelayMs: 1_000,
  stopMsMax: 5_000,
};

/**
 * Of one SendMessage request. A client sends one message a request; what is somewhat too large shall still be told so in
 * the protocol's own words, and batches are taken.
 */
export function sendRequestBytesMax({ bodyBytesMax, overheadBytesMax }: MessagingLimits): number {
  return Math.max(32 * MiB, 2 * (bodyBytesMax + overheadBytesMax));
}

/** Where clients are told to find the queues. `echo`: where they already are, for one address in front of all. */
export type Advertised =
  { readonly kind: 'echo' } | { readonly kind: 'address'; readonly host: string; readonly port: number };
