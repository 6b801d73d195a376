import { GiB, KiB, membersWantedMax, MiB } from '@cometmq/model';
import { bytes, count, flag, hostAndPort, millis, oneOf, port, text } from '@cometmq/shared';
import { traceSettings } from '@cometmq/telemetry';

const hour = 3_600_000;
const year = 365 * 24 * hour;

/** What can be set of a broker, wherever it runs. */
export const brokerSettings = {
  ...traceSettings,
  brokerName: text({ default: 'broker-0', why: 'The name of the broker set; stable for as long as its data lives.' }),
  dataDir: text({ default: 'data', why: 'Where the log and its views are kept. One process at a time.' }),
  retentionMs: millis({
    default: 72 * hour,
    min: 1_000,
    max: 10 * year,
    why: 'How long messages are kept, consumed or not, where their topic says nothing else.',
  }),
  segmentBytes: bytes({
    default: 256 * MiB,
    min: 1 * MiB,
    max: 1 * GiB,
    why: 'Size of a log segment. The active one is indexed anew after a crash; disk space is freed segment by segment.',
  }),
  recordBytesMax: bytes({
    default: 8 * MiB,
    min: 64 * KiB,
    max: 64 * MiB,
    why: 'The largest record the log takes: a message with its properties.',
  }),
  diskFreeBytesMin: bytes({
    default: 256 * MiB,
    min: 0,
    max: 1024 * GiB,
    why: 'With less than this free, new messages are refused; consumers go on in reserved space.',
  }),
  liteTopicsMax: count({
    default: 2_000_000,
    min: 1,
    max: 50_000_000,
    why: 'Lite topics on one broker, of all LITE topics; some 130 bytes of memory each.',
  }),
  liteSubscriptionsMax: count({
    default: 100_000,
    min: 1,
    max: 10_000_000,
    why: 'Lite topics subscribed to by all clients together, as one broker knows them.',
  }),
  pendingBytesMax: bytes({
    default: 0,
    min: 0,
    max: 1024 * GiB,
    why: 'What delayed and half messages may take of the disk while they wait; 0: half of what it can take.',
  }),
  adoptMetadata: flag({
    default: false,
    why: 'For one start, after the metadata was lost: bring back what the log knows of it. See docs/operations.md.',
  }),
  forgetMembers: flag({
    default: false,
    why: 'For one start, after the data folder was lost or only an older copy is left: give up the messages that are missing.',
  }),
  giveUpDamage: flag({
    default: false,
    why: 'For one start, where the newest segment of the log is damaged: go on without what can not be read; where a sealed one is longer than it was: cut that off. See docs/operations.md.',
  }),
  diskQueueBytesMax: bytes({
    default: 64 * MiB,
    min: 1 * MiB,
    max: 16 * GiB,
    why: 'Memory for messages that wait for the disk; at least one of the largest fits. Above it sends are refused with TOO_MANY_REQUESTS.',
  }),
  scrubBytesPerSecond: bytes({
    default: 4 * MiB,
    min: 0,
    max: 1 * GiB,
    why: 'How fast the log is read through in the background, to find damage while there is another copy; 0: not at all.',
  }),
  scrubEveryMs: millis({
    default: 24 * hour,
    min: 60_000,
    max: year,
    why: 'From the beginning of one reading through the log to the next.',
  }),
  pollsMax: count({ default: 100_000, min: 1, max: 10_000_000, why: 'Long polls that may wait on one broker.' }),
  leaseMs: millis({
    default: 3_000,
    min: 2_000,
    max: 60_000,
    why: 'How long a silent leader counts as present. etcd allows no less than 2 s.',
  }),
};

/** A record lies in one segment. */
export const segmentRule = ({
  recordBytesMax,
  segmentBytes,
}: {
  readonly recordBytesMax: number;
  readonly segmentBytes: number;
}): true | string =>
  recordBytesMax <= segmentBytes ||
  `recordBytesMax (${recordBytesMax}) must not be above segmentBytes (${segmentBytes}): a record lies in one segment`;

/** What belongs to a message beside its body: properties, tag, keys, and what the broker adds. */
const besideBodyBytes = 64 * KiB;

/** Where proxy and broker are one process: what the one takes fits the other's log. */
export const bodyRule = ({
  bodyBytesMax,
  recordBytesMax,
}: {
  readonly bodyBytesMax: number;
  readonly recordBytesMax: number;
}): true | string =>
  bodyBytesMax + besideBodyBytes <= recordBytesMax ||
  `bodyBytesMax (${bodyBytesMax}) must leave 64 KiB of recordBytesMax (${recordBytesMax}) for what belongs to a message`;

/** A member is known as `<memberName>/<incarnation of its volume>`. */
export const memberRule = ({ memberName }: { readonly memberName: string }): true | string =>
  /^[^/\s]{0,100}$/.test(memberName) || 'memberName must be 100 characters at the most, without "/" and spaces';

/** What a broker process of its own needs besides. */
export const brokerProcessSettings = {
  memberName: text({
    default: '',
    why: 'The place of this broker in its set, where the set has several members: another one in each of them. Empty: the name of the set.',
  }),
  membersWanted: count({
    default: 1,
    min: 1,
    max: membersWantedMax,
    why: 'Members that the broker set is to have, each with all messages. Two: etcd is the third voter. The same on all of them.',
  }),
  followerReadsBehindBytes: bytes({
    default: 1 * GiB,
    min: 0,
    max: 1024 * GiB,
    why: 'Messages so far behind the end of the log are read by members that follow, for consumers, so that the leader need not; 0: none are.',
  }),
  durability: oneOf(['available', 'strict'], {
    default: 'available',
    why: 'Of a set of two whose other member is away: available goes on alone, with a single copy; strict refuses messages until it is back.',
  }),
  restartWaitMs: millis({
    default: 0,
    min: 0,
    max: hour,
    why: 'How long a broker that is told to stop (SIGTERM) stays while its set needs it: another member restarts, or is not in sync. 0: it stops at once.',
  }),
  scaleInWaitMs: millis({
    default: 0,
    min: 0,
    max: 24 * hour,
    why: 'How long a broker that is told to stop (SIGTERM) because its StatefulSet was scaled in stays, until its set is in no route any more. What its set holds then stays in its volume. 0: it stops at once.',
  }),
  kubernetesDir: text({
    default: '',
    why: 'The folder with the token, ca.crt and namespace of the pod’s service account: asked there why the pod is told to stop. Empty: it is to be started again.',
  }),
  podName: text({ default: '', why: 'The name of the pod; needed with kubernetesDir.' }),
  host: text({ default: '0.0.0.0', why: 'The address listened on.' }),
  port: port({ default: 10_911, why: 'The internal gRPC service, called by proxies and the dashboard API.' }),
  advertisedAddress: text({
    default: '',
    why: 'host:port under which proxies reach this broker; empty: this host name and the port.',
  }),
};

/** For `declare`: other members and proxies must be able to call it. */
export function brokerAddressRule({ advertisedAddress }: { readonly advertisedAddress: string }): true | string {
  return (
    advertisedAddress === '' ||
    hostAndPort(advertisedAddress) !== undefined ||
    `advertisedAddress=${advertisedAddress}: must be host:port`
  );
}
