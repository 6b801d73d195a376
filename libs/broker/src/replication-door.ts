import {
  attachedToWire,
  digestBytesMax,
  encodeBatch,
  encodeFetchedPart,
  encodeLogBytes,
  encodeReadMessage,
  fetchFromWire,
  heartbeatToWire,
  helloFromWire,
  NotLeader,
  peerLimits,
  promiseToWire,
  reasonFromWire,
  statusToWire,
  transferFromWire,
  type Attached,
  type FollowerEvents,
  type FollowerOutlet,
  type Heartbeat,
  type LogBytes,
  type PeerDoor,
  type PeerLimits,
} from '@cometmq/client';
import { memberId, type Epoch, type LogPosition } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import {
  answering,
  failWith,
  type BidiHandler,
  type GrpcMethod,
  type GrpcService,
  type MessageBytes,
  type MessageSink,
  type ServerStreamHandler,
} from '@cometmq/rpc';
import { MqError, type Clock } from '@cometmq/shared';

/** Of one message that comes in: a log's outline is the largest, and has a line for each epoch. */
const requestBytesMax = 1024 * 1024;
/** Messages of another set: one of them may be as large as a record. */
const transferBytesMax = 40 * 1024 * 1024;
/** Followers' streams; a set has a few members. */
const streamsMax = 100;

/** Calls of other members, over gRPC. `close` ends their streams. */
export function replicationGrpcService(
  door: PeerDoor,
  clock: Clock,
  limits: PeerLimits = peerLimits,
): GrpcService & { close(): void } {
  const streams = new Set<Outlet>();
  const frames = new Frames();
  const follow: BidiHandler = (call, input, out) => {
    const outlet = new Outlet(out, frames);
    let events: FollowerEvents | undefined;
    const helloTimer = clock.after(limits.promiseMs, () =>
      outlet.end(new MqError('BAD_REQUEST', 'a member that follows says who it is at once')),
    );
    const end = (error?: MqError): void => {
      helloTimer.cancel();
      streams.delete(outlet);
      const over = outlet.isOver;
      outlet.end(error);
      if (!over) events?.closed();
      events = undefined;
    };
    if (streams.size >= streamsMax) {
      end(new MqError('TOO_MANY_REQUESTS', `${streamsMax} members follow already`));
      return;
    }
    streams.add(outlet);
    out.onDrain(() => {
      outlet.drained();
      events?.drained();
    });
    call.onCancel(() => end());
    input.onEnd(() => end());
    input.onMessage((message) => {
      if (outlet.isOver) return;
      try {
        const { says } = decoded(internal.FollowerSays, message);
        if (says?.$case !== 'hello') {
          if (!events) throw new MqError('BAD_REQUEST', 'a member that follows says first who it is');
          follower(events, says);
        } else if (events) throw new MqError('BAD_REQUEST', 'a member says once who it is');
        else {
          helloTimer.cancel();
          events = door.follow(helloFromWire(says.value), outlet);
        }
      } catch (caught) {
        end(MqError.from(caught));
      }
    });
  };
  return {
    close: () => {
      for (const each of [...streams]) each.end(new MqError('UNAVAILABLE', 'this member is stopping'));
    },
    name: 'cometmq.v1.ReplicationService',
    methods: {
      Follow: { kind: 'bidi', handler: follow, requestBytesMax },
      AskPromise: unary(async (request) => {
        const { brokerSet, sounding, ...asked } = decoded(internal.PromiseRequest, request);
        const { epoch, candidate, reason } = asked;
        const who = { epoch: epoch as Epoch, candidate: memberId(candidate) };
        const ask = { ...who, reason: reasonFromWire(reason), sounding };
        return internal.PromiseResponse.encode(promiseToWire(await door.askPromise(brokerSet, ask))).finish();
      }),
      Fetch: parts((request) => door.fetch(fetchFromWire(decoded(internal.FetchRequest, request))), encodeFetchedPart),
      Snapshot: parts((request) => {
        const { brokerSet, epoch } = decoded(internal.SnapshotRequest, request);
        return door.snapshot(brokerSet, epoch as Epoch);
      }, encodeLogBytes),
      SegmentBytes: parts((request) => {
        const { brokerSet, from, end, uncommitted } = decoded(internal.SegmentBytesRequest, request);
        return door.segmentBytes(brokerSet, from as LogPosition, end as LogPosition, uncommitted);
      }, encodeLogBytes),
      Digest: unary(async (request) => {
        const { brokerSet, from, end } = decoded(internal.DigestRequest, request);
        if (end - from > digestBytesMax)
          throw new MqError('BAD_REQUEST', `a digest is of ${digestBytesMax} bytes at most`);
        const answer = await door.digest(brokerSet, from as LogPosition, end as LogPosition);
        return internal.DigestResponse.encode({ ...answer, digest: answer.digest && { ...answer.digest } }).finish();
      }),
      PrepareHandOver: unary(async (request) => {
        const { brokerSet, epoch } = decoded(internal.HandOverRequest, request);
        await door.prepareHandOver(brokerSet, epoch as Epoch);
        return internal.HandOverResponse.encode({}).finish();
      }),
      HandOver: unary(async (request) => {
        const { brokerSet, epoch } = decoded(internal.HandOverRequest, request);
        await door.handOver(brokerSet, epoch as Epoch);
        return internal.HandOverResponse.encode({}).finish();
      }),
      Elect: unary(async (request) => {
        const { brokerSet, to } = decoded(internal.ElectRequest, request);
        await door.elect(brokerSet, to === undefined ? undefined : memberId(to));
        return internal.ElectResponse.encode({}).finish();
      }),
      RemoveMember: unary(async (request) => {
        const { brokerSet, member } = decoded(internal.RemoveMemberRequest, request);
        await door.removeMember(brokerSet, memberId(member));
        return internal.RemoveMemberResponse.encode({}).finish();
      }),
      MayLeave: unary(async (request) => {
        const { brokerSet, member } = decoded(internal.MayLeaveRequest, request);
        return internal.MayLeaveResponse.encode({ whyNot: await door.mayLeave(brokerSet, memberId(member)) }).finish();
      }),
      ReadMessages: parts((request) => {
        const { brokerSet, places } = decoded(internal.ReadMessagesRequest, request);
        const wanted = places.map(({ position, size }) => ({ position: position as LogPosition, size }));
        return door.readMessages(brokerSet, wanted);
      }, encodeReadMessage),
      TakeTransfer: {
        kind: 'unary',
        requestBytesMax: transferBytesMax,
        handler: answering(async (request) => {
          await door.takeTransfer(transferFromWire(decoded(internal.TakeTransferRequest, request)));
          return internal.TakeTransferResponse.encode({}).finish();
        }),
      },
      Status: unary(async (request) => {
        const { brokerSet } = decoded(internal.MemberStatusRequest, request);
        return internal.MemberStatus.encode(statusToWire(await door.status(brokerSet))).finish();
      }),
    },
  };
}

function follower(events: FollowerEvents, says: internal.FollowerSays['says']): void {
  switch (says?.$case) {
    case 'follow':
      events.follow(says.value.session, says.value.from as LogPosition);
      return;
    case 'ack':
      events.ack(says.value.session, says.value.end as LogPosition);
      return;
    case 'refuse':
      events.refuse(says.value.session, says.value.epoch as Epoch, says.value.why);
      return;
    case 'leaving':
      events.leaving();
      return;
    case 'hello':
    case undefined: // Of a later version.
  }
}

/** @throws MqError BAD_REQUEST */
function decoded<T>(codec: { decode(bytes: Uint8Array): T }, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch (caught) {
    throw new MqError('BAD_REQUEST', 'this is no message of the replication service', { cause: caught });
  }
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act), requestBytesMax };
}

function parts<T>(open: (request: Uint8Array) => AsyncIterable<T>, encode: (part: T) => MessageBytes): GrpcMethod {
  const handler: ServerStreamHandler = (request, call, out) => {
    let wake: (() => void) | undefined;
    out.onDrain(() => wake?.());
    call.onCancel(() => wake?.());
    const run = async (): Promise<void> => {
      try {
        for await (const part of open(request)) {
          if (!out.open) return;
          if (out.write(encode(part))) continue;
          await new Promise<void>((resolve) => (wake = resolve));
          if (call.cancelled) return;
        }
        out.end();
      } catch (caught) {
        failWith(out, caught);
      }
    };
    void run();
  };
  return { kind: 'serverStream', handler, requestBytesMax };
}

/** The wire's form of what was said last, for the next follower that is told the same. */
class Frames {
  private beat: Heartbeat | undefined;
  private beatFrame: Uint8Array | undefined;

  ofBeat(beat: Heartbeat): Uint8Array {
    if (this.beat === beat && this.beatFrame) return this.beatFrame;
    this.beat = beat;
    return (this.beatFrame = encode({ $case: 'heartbeat', value: heartbeatToWire(beat) }));
  }
}

function encode(says: internal.LeaderSays['says']): Uint8Array {
  return internal.LeaderSays.encode({ says }).finish();
}

class Outlet implements FollowerOutlet {
  isOver = false;
  private blocked = false;

  constructor(
    private readonly out: MessageSink,
    private readonly frames: Frames,
  ) {}

  get hasRoom(): boolean {
    return !this.blocked;
  }

  attached(what: Attached): void {
    this.write(encode({ $case: 'attached', value: attachedToWire(what) }));
  }
  batch(bytes: LogBytes): void {
    this.write(encodeBatch(bytes), true);
  }
  heartbeat(beat: Heartbeat): void {
    this.write(this.frames.ofBeat(beat));
  }
  snapshotNeeded(oldest: LogPosition): void {
    this.write(encode({ $case: 'snapshotNeeded', value: oldest }));
  }
  handOver(): void {
    this.write(encode({ $case: 'handOver', value: true }));
  }

  drained(): void {
    this.blocked = false;
  }

  end(error?: MqError): void {
    if (this.isOver) return;
    if (error instanceof NotLeader && error.leader) {
      this.write(encode({ $case: 'notLeader', value: { ...error.leader } }));
    }
    this.isOver = true;
    if (error) failWith(this.out, error);
    else this.out.end();
  }

  private write(frame: MessageBytes, borrowed = false): void {
    if (!this.isOver && !this.out.write(frame, borrowed)) this.blocked = true;
  }
}
