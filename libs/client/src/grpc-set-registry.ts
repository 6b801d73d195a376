import { internal } from '@cometmq/proto';
import type { BrokerSetStage, Epoch, MemberId, SetState } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { MqError, type Clock, type Component, type ErrorCode, type Timer } from '@cometmq/shared';

import {
  beyondElectionFromWire,
  keptLeadToWire,
  memberClaimToWire,
  setReadingFromWire,
  setRegistryPath,
  setStateFromWire,
  wantedLeadToWire,
  wantedMembersToWire,
} from './set-registry-frames.js';
import type { BeyondElection, SetAdmin } from './set-admin.js';
import type { KeptLead, MemberClaim, SetReading, SetRegistry, WantedLead, WantedMembers } from './set-registry.js';
import { NameServerChannels } from './name-server-channels.js';
import type { NameServersNow } from './name-servers.js';

export interface GrpcSetRegistryOptions {
  /** They are equal: one is used until it fails, then the next. */
  readonly nameServers: NameServersNow;
  readonly connect: (address: string) => RpcChannel;
  readonly clock: Clock;
  /** How long a call may take, all attempts together; a renewal no longer than its lease. */
  readonly callMsMax?: number | undefined;
}

/** Of a lease: an instance that has not answered for so long is not waited for alone. */
const attemptsInLease = 6;
const readAttemptMs = 500;
/** What another instance may do better; one of an older version does not know the service. */
const elsewhere: readonly ErrorCode[] = ['UNAVAILABLE', 'TIMEOUT', 'UNSUPPORTED'];
const pauseMs = 50;

/**
 * `SetRegistry` over gRPC, on connections of its own, so that a renewal waits behind nothing else. An instance that is silent
 * for a sixth of the lease is not waited for alone: the next one is asked beside it, and the first answer counts. That is
 * safe for every call of the registry: each compares what it was decided on, and who asks again is told what it has written.
 */
export class GrpcSetRegistry implements SetRegistry, SetAdmin, Component {
  readonly name = 'set registry';
  private readonly channels: NameServerChannels;
  private readonly callMsMax: number;
  private closed = false;

  constructor(private readonly options: GrpcSetRegistryOptions) {
    this.channels = new NameServerChannels(options.nameServers, options.connect);
    this.callMsMax = options.callMsMax ?? 5_000;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.closed = true;
    this.channels.close();
    return Promise.resolve();
  }

  async readSet(brokerSet: string): Promise<SetReading> {
    const request = internal.SetNameRequest.encode({ brokerSet }).finish();
    const answer = await this.ask('ReadSet', request, readAttemptMs, this.callMsMax);
    return setReadingFromWire(internal.SetReading.decode(answer));
  }

  async acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined> {
    const request = internal.AcquireLeadershipRequest.encode(wantedLeadToWire(claim, wanted)).finish();
    const answer = await this.askFor(claim, 'AcquireLeadership', request);
    return setStateFromWire(internal.MemberSetAnswer.decode(answer).state);
  }

  /** Tried no longer than the lease lasts: after that it says nothing any more. */
  async renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading> {
    const request = internal.RenewLeadershipRequest.encode(keptLeadToWire(claim, kept)).finish();
    const answer = await this.askFor(claim, 'RenewLeadership', request, claim.leaseMs);
    return setReadingFromWire(internal.SetReading.decode(answer));
  }

  async resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void> {
    const wire = { claim: memberClaimToWire(claim), epoch };
    await this.askFor(claim, 'ResignLeadership', internal.ResignLeadershipRequest.encode(wire).finish());
  }

  async changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined> {
    const request = internal.ChangeMembersRequest.encode(wantedMembersToWire(claim, wanted)).finish();
    const answer = await this.askFor(claim, 'ChangeMembers', request);
    return setStateFromWire(internal.MemberSetAnswer.decode(answer).state);
  }

  async announceMember(claim: MemberClaim): Promise<SetReading> {
    const request = internal.MemberClaim.encode(memberClaimToWire(claim)).finish();
    const answer = await this.askFor(claim, 'AnnounceMember', request, claim.leaseMs);
    return setReadingFromWire(internal.SetReading.decode(answer));
  }

  async withdrawMember(claim: MemberClaim): Promise<void> {
    await this.askFor(claim, 'WithdrawMember', internal.MemberClaim.encode(memberClaimToWire(claim)).finish());
  }

  async setStage(brokerSet: string, stage: BrokerSetStage, groupless = false): Promise<void> {
    const request = internal.SetStageRequest.encode({ brokerSet, stage, groupless }).finish();
    // What comes late would undo what was said since: one instance at a time, which knows when it is given up.
    const attemptMs = this.callMsMax / Math.max(2, this.channels.count);
    await this.ask('SetStage', request, attemptMs, this.callMsMax, true);
  }

  async electBeyond(brokerSet: string, member: MemberId): Promise<BeyondElection> {
    const request = internal.SetMemberRequest.encode({ brokerSet, member }).finish();
    const answer = await this.ask('ElectBeyond', request, readAttemptMs, this.callMsMax);
    return beyondElectionFromWire(internal.BeyondElection.decode(answer));
  }

  private askFor(
    { leaseMs }: MemberClaim,
    method: string,
    request: Uint8Array,
    msMax = this.callMsMax,
  ): Promise<Uint8Array> {
    return this.ask(method, request, leaseMs / attemptsInLease, Math.min(msMax, this.callMsMax));
  }

  /**
   * One instance after the other, each `attemptMs` after the one before or as soon as that has failed. `alone`: the one before is
   * given up then.
   */
  private ask(
    method: string,
    request: Uint8Array,
    attemptMs: number,
    msMax: number,
    alone = false,
  ): Promise<Uint8Array> {
    const { clock } = this.options;
    const { count } = this.channels;
    const path = setRegistryPath(method);
    const deadlineMs = clock.monotonicMs() + msMax;
    return new Promise((resolve, reject) => {
      const first = this.channels.current;
      let begun = 0;
      let underWay = 0;
      let isOver = false;
      let timer: Timer | undefined;
      const end = (settle: () => void): void => {
        isOver = true;
        timer?.cancel();
        settle();
      };
      const failed = (error: MqError): void => {
        if (isOver) return;
        if (!elsewhere.includes(error.code) || this.closed) return end(() => reject(error));
        const nowMs = clock.monotonicMs();
        if (nowMs + pauseMs < deadlineMs) return later(begun % count === 0 ? pauseMs : 0);
        if (underWay === 0) end(() => reject(this.channels.unreachable(error)));
      };
      const later = (ms: number): void => {
        timer?.cancel();
        timer = clock.after(ms, attempt);
      };
      const attempt = (): void => {
        if (isOver || (underWay > 0 && clock.monotonicMs() >= deadlineMs)) return;
        const instance = (first + begun) % count;
        begun += 1;
        underWay += 1;
        if (!alone) later(attemptMs);
        const untilMs = alone ? Math.min(deadlineMs, clock.monotonicMs() + attemptMs) : deadlineMs;
        this.channels
          .to(instance)
          .unary(path, request, { deadlineMs: untilMs })
          .then(
            (answer) => {
              underWay -= 1;
              if (isOver) return;
              this.channels.current = instance;
              end(() => resolve(answer));
            },
            (caught: unknown) => {
              underWay -= 1;
              failed(MqError.from(caught));
            },
          );
      };
      if (this.closed) end(() => reject(new MqError('UNAVAILABLE', 'the link to the name service is closed')));
      else attempt();
    });
  }
}
