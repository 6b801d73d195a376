import type { KeptLead, MemberClaim, SetReading, SetRegistry, WantedLead, WantedMembers } from '@cometmq/client';
import { MemorySetRegistry, type FakeNameService } from '@cometmq/client/testing';
import type { Epoch, SetState } from '@cometmq/model';
import type { Clock } from '@cometmq/shared';

/** The registry of sets beside a name service: refuses whoever asks for as long as the name service has another's metadata. */
export class FakeSetRegistry extends MemorySetRegistry {
  readonly claims: MemberClaim[] = [];

  constructor(
    clock: Clock,
    private readonly nameService: FakeNameService,
  ) {
    super(clock);
  }

  override announceMember(claim: MemberClaim): Promise<SetReading> {
    return this.checked(claim, (own) => super.announceMember(own));
  }
  override acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined> {
    return this.checked(claim, (own) => super.acquireLeadership(own, wanted));
  }
  override renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading> {
    return this.checked(claim, (own) => super.renewLeadership(own, kept));
  }

  override changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined> {
    return this.checked(claim, (own) => super.changeMembers(own, wanted));
  }
  override resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void> {
    return this.checked(claim, (own) => super.resignLeadership(own, epoch));
  }

  private checked<T>(claim: MemberClaim, act: (own: MemberClaim) => Promise<T>): Promise<T> {
    this.claims.push(claim);
    const { mismatch } = this.nameService;
    if (mismatch) return Promise.reject(mismatch);
    // Which metadata it is, is what the name service is told to say.
    return act({ ...claim, ...(claim.log && { log: { ...claim.log, metadata: undefined } }) });
  }
}

/** Of a set of one that is asked for by nobody else: whatever its log says is so. For a folder that has no name service. */
export class LoneSetRegistry implements SetRegistry {
  private state: SetState | undefined;

  readSet(): Promise<SetReading> {
    const { state } = this;
    return Promise.resolve({ storeId: 'none', generation: 1, state, present: [], former: [] });
  }
  announceMember({ member, log }: MemberClaim): Promise<SetReading> {
    if (log) this.state ??= { members: [member], quorum: 1, epoch: log.epoch, leader: member, revision: log.epoch };
    return this.readSet();
  }
  acquireLeadership({ member }: MemberClaim, { epoch, rule }: WantedLead): Promise<SetState | undefined> {
    this.state = { ...rule, epoch, leader: member, revision: epoch };
    return Promise.resolve(this.state);
  }
  renewLeadership(): Promise<SetReading> {
    return this.readSet();
  }
  resignLeadership(): Promise<void> {
    return Promise.resolve();
  }
  changeMembers(): Promise<SetState | undefined> {
    return Promise.resolve(undefined);
  }
  withdrawMember(): Promise<void> {
    return Promise.resolve();
  }
}
