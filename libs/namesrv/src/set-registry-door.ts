import { internal } from '@cometmq/proto';
import {
  keptLeadFromWire,
  memberClaimFromWire,
  setReadingToWire,
  setRegistryServiceName,
  setStateToWire,
  wantedLeadFromWire,
  wantedMembersFromWire,
  beyondElectionToWire,
  type Asker,
  type SetAdmin,
  type SetRegistry,
} from '@cometmq/client';
import { memberId, type BrokerSetStage, type Epoch } from '@cometmq/model';
import { answering, type GrpcMethod, type GrpcService } from '@cometmq/rpc';

import { decoded } from './decoded.js';

/** `SetRegistry` for other processes. */
export function setRegistryDoor(registry: SetRegistry & SetAdmin): GrpcService {
  function method<Q, A>(
    requests: { decode(bytes: Uint8Array): Q },
    answers: { encode(answer: A): { finish(): Uint8Array } },
    act: (request: Q, asker: Asker) => Promise<A>,
  ): GrpcMethod {
    const handler = answering(async (bytes, call) =>
      answers.encode(await act(decoded(requests, bytes), call)).finish(),
    );
    return { kind: 'unary', handler };
  }
  const done = async (asked: Promise<void>): Promise<internal.SetDoneAnswer> => {
    await asked;
    return {};
  };
  const { SetReading, MemberSetAnswer, SetDoneAnswer, MemberClaim, SetNameRequest } = internal;
  const { SetStageRequest, SetMemberRequest, BeyondElection } = internal;
  const { AcquireLeadershipRequest, RenewLeadershipRequest, ResignLeadershipRequest, ChangeMembersRequest } = internal;
  return {
    name: setRegistryServiceName,
    methods: {
      ReadSet: method(SetNameRequest, SetReading, async ({ brokerSet }) =>
        setReadingToWire(await registry.readSet(brokerSet)),
      ),
      AcquireLeadership: method(AcquireLeadershipRequest, MemberSetAnswer, async (wire) => ({
        state: setStateToWire(
          await registry.acquireLeadership(memberClaimFromWire(wire.claim), wantedLeadFromWire(wire)),
        ),
      })),
      RenewLeadership: method(RenewLeadershipRequest, SetReading, async (wire) =>
        setReadingToWire(await registry.renewLeadership(memberClaimFromWire(wire.claim), keptLeadFromWire(wire))),
      ),
      ResignLeadership: method(ResignLeadershipRequest, SetDoneAnswer, (wire) =>
        done(registry.resignLeadership(memberClaimFromWire(wire.claim), wire.epoch as Epoch)),
      ),
      ChangeMembers: method(ChangeMembersRequest, MemberSetAnswer, async (wire) => ({
        state: setStateToWire(
          await registry.changeMembers(memberClaimFromWire(wire.claim), wantedMembersFromWire(wire)),
        ),
      })),
      AnnounceMember: method(MemberClaim, SetReading, async (claim) =>
        setReadingToWire(await registry.announceMember(memberClaimFromWire(claim))),
      ),
      WithdrawMember: method(MemberClaim, SetDoneAnswer, (claim) =>
        done(registry.withdrawMember(memberClaimFromWire(claim))),
      ),
      SetStage: method(SetStageRequest, SetDoneAnswer, ({ brokerSet, stage, groupless }, asker) =>
        done(registry.setStage(brokerSet, stage as BrokerSetStage, groupless, asker)),
      ),
      ElectBeyond: method(SetMemberRequest, BeyondElection, async ({ brokerSet, member }) =>
        beyondElectionToWire(await registry.electBeyond(brokerSet, memberId(member))),
      ),
    },
  };
}
