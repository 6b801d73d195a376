import { epoch, memberId } from '@cometmq/model';
import type { Ask, Epoch, LogPosition, MemberId, SetState } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { MessagePlace, ReadMessage } from '../read-message.js';
import type { FollowerEvents, FollowerOutlet, PeerDoor } from '../peer-door.js';
import type {
  Attached,
  FetchedPart,
  FetchRequest,
  FollowHello,
  Heartbeat,
  MemberStatus,
  PeerDigest,
  PromiseAnswer,
  TransferCall,
} from '../peers.js';

export const at = (position: number): LogPosition => position as LogPosition;

export const someSet: SetState = {
  ...{ revision: 7, epoch: epoch(3), leader: memberId('a/1') },
  ...{ members: [memberId('a/1'), memberId('b/1'), memberId('c/9')], quorum: 2 },
};

export const someHello: FollowHello = {
  ...{ brokerSet: 'broker-0', member: memberId('b/1'), address: 'b:1', bootId: 'boot', salt: 0xfedcba98 },
  ...{ log: { lastEpoch: epoch(2), end: at(2 ** 40) }, featureLevel: 3, membersWanted: 3 },
};

export const someAttached: Attached = {
  ...{
    session: 2 ** 31 + 5,
    leader: memberId('a/1'),
    epoch: epoch(3),
    salt: 0xfedcba98,
    state: someSet,
    featureLevel: 4,
  },
  log: {
    epochs: [
      { epoch: epoch(1), start: at(0) },
      { epoch: epoch(3), start: at(2 ** 40) },
    ],
    end: at(2 ** 40 + 77),
  },
};

export const someBeat: Heartbeat = {
  ...{ epoch: epoch(3), commitEnd: at(2 ** 40 + 1), durableEnd: at(2 ** 40 + 2), progress: 12, state: someSet },
  addresses: [{ member: memberId('b/1'), address: '127.0.0.1:9' }],
};

const someFailover = {
  ...{ reason: 'silent' as const, epoch: epoch(3), atMs: 1_700_000_000_000.5, noticeMs: 1, promiseMs: 2, fetchMs: 3 },
  ...{ transactionMs: 4, startRecordMs: 5, foldMs: 6.25 },
};

export const someStatus: MemberStatus = {
  ...{ brokerSet: 'broker-0', member: memberId('a/1'), role: 'leading', says: 'protected', epoch: epoch(3) },
  ...{ leader: memberId('a/1'), appendEnd: at(9), durableEnd: at(8), commitEnd: at(7), state: someSet },
  followers: [{ member: memberId('b/1'), inSync: true, lagBytes: 12, lagMs: 1.5 }],
  membersWanted: 3,
  stalled: true,
  registryAgeMs: 1_200.5,
  diskFull: true,
  lastFailover: someFailover,
  failovers: [{ ...someFailover, reason: 'closed', epoch: epoch(2) }, someFailover],
};

/** A member's door that does as a spec says, and notes what it was asked. */
export class ScriptedDoor implements PeerDoor {
  readonly said: string[] = [];
  readonly transfers: TransferCall[] = [];
  readonly hellos: FollowHello[] = [];
  readonly outlets: FollowerOutlet[] = [];
  /** What a follower is refused with. */
  refuses: MqError | undefined;
  /** What follows at once from a hello. */
  onFollow: ((out: FollowerOutlet) => void) | undefined;
  /** Which acknowledgements make sense; left out: all. */
  believes: ((end: LogPosition) => boolean) | undefined;
  promise: (ask: Ask) => Promise<PromiseAnswer> = () => new Promise(() => undefined);
  parts: () => AsyncIterable<FetchedPart> = nothing;
  bytes: () => AsyncIterable<Uint8Array> = nothing;

  follow(hello: FollowHello, out: FollowerOutlet): FollowerEvents {
    if (this.refuses) throw this.refuses;
    this.hellos.push(hello);
    this.outlets.push(out);
    this.onFollow?.(out);
    return {
      follow: (session, from) => this.said.push(`follow ${session} from ${from}`),
      ack: (session, end) => {
        this.said.push(`ack ${session} ${end}`);
        if (this.believes && !this.believes(end)) throw new MqError('BAD_REQUEST', 'that was never sent');
      },
      refuse: (session, later, why) => this.said.push(`refuse ${session} ${later} ${why}`),
      leaving: () => this.said.push('leaving'),
      drained: () => this.said.push('drained'),
      closed: () => this.said.push('closed'),
    };
  }

  askPromise(brokerSet: string, ask: Ask): Promise<PromiseAnswer> {
    this.said.push(`ask ${brokerSet} ${ask.epoch} ${ask.candidate} ${ask.reason}`);
    return this.promise(ask);
  }
  fetch({ brokerSet, candidate, epoch: asked, log }: FetchRequest): AsyncIterable<FetchedPart> {
    this.said.push(`fetch ${brokerSet} ${candidate} ${asked} ${JSON.stringify(log)}`);
    return this.parts();
  }
  snapshot(brokerSet: string, asked: Epoch): AsyncIterable<Uint8Array> {
    this.said.push(`snapshot ${brokerSet} ${asked}`);
    return this.bytes();
  }
  segmentBytes(
    brokerSet: string,
    from: LogPosition,
    end: LogPosition,
    uncommitted?: boolean,
  ): AsyncIterable<Uint8Array> {
    this.said.push(`segmentBytes ${brokerSet} ${from} ${end}${uncommitted === true ? ' uncommitted' : ''}`);
    return this.bytes();
  }
  digest(brokerSet: string, from: LogPosition, end: LogPosition): Promise<PeerDigest> {
    this.said.push(`digest ${brokerSet} ${from} ${end}`);
    const digest = from === 1 ? undefined : { records: 3, sum: 0xfedcba98 };
    return Promise.resolve({ wholeFrom: at(2 ** 40), digest });
  }
  prepareHandOver(brokerSet: string, asked: Epoch): Promise<void> {
    this.said.push(`prepareHandOver ${brokerSet} ${asked}`);
    return Promise.resolve();
  }
  handOver(brokerSet: string, asked: Epoch): Promise<void> {
    this.said.push(`handOver ${brokerSet} ${asked}`);
    return Promise.resolve();
  }
  elect(brokerSet: string, to: MemberId | undefined): Promise<void> {
    this.said.push(`elect ${brokerSet} ${to ?? 'whoever is best'}`);
    return Promise.resolve();
  }
  mayLeave(brokerSet: string, member: MemberId): Promise<string | undefined> {
    this.said.push(`mayLeave ${brokerSet} ${member}`);
    return Promise.resolve(member === 'c/1' ? undefined : `${member} is needed`);
  }
  removeMember(brokerSet: string, member: MemberId): Promise<void> {
    this.said.push(`removeMember ${brokerSet} ${member}`);
    return Promise.resolve();
  }
  takeTransfer(call: TransferCall): Promise<void> {
    const { brokerSet, from, transfer, messages } = call;
    this.transfers.push(call);
    const said = messages.map(({ index, payload, audience }) => `${index}:${payload.length}:${audience.groups.length}`);
    this.said.push(`takeTransfer ${brokerSet} ${from} ${transfer} ${said.join(' ')}`);
    return Promise.resolve();
  }
  readMessages(brokerSet: string, places: readonly MessagePlace[]): AsyncIterable<ReadMessage> {
    this.said.push(`readMessages ${brokerSet} ${places.map(({ position }) => position).join(' ')}`);
    return nothing();
  }
  status(brokerSet: string): Promise<MemberStatus> {
    if (brokerSet !== someStatus.brokerSet) throw new MqError('NOT_FOUND', `this is ${someStatus.brokerSet}`);
    return Promise.resolve(someStatus);
  }
}

async function* nothing(): AsyncIterable<never> {
  // Not one part.
}
