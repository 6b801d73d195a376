import type { BeyondElection, MemberStatus, Peer, Peers, SetAdmin } from '@cometmq/client';
import { epoch, logPosition, memberId, type BrokerSetStage, type MemberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** Members of broker sets that say what they are told to; one that is told nothing is away. Notes what operators want. */
export class FakeMembers implements Peers, SetAdmin {
  /** By address. */
  readonly statuses = new Map<string, Partial<MemberStatus>>();
  /** What operators wanted. */
  readonly asked: string[] = [];
  /** Why it is refused. */
  refusal: MqError | undefined;

  reset(): void {
    this.statuses.clear();
    this.asked.length = 0;
    this.refusal = undefined;
  }

  peer(address: string): Peer {
    const notHere = (): never => {
      throw new MqError('UNSUPPORTED', 'the fake member does not do this');
    };
    return {
      ...{
        follow: notHere,
        askPromise: notHere,
        fetch: notHere,
        snapshot: notHere,
        segmentBytes: notHere,
        digest: notHere,
      },
      ...{ prepareHandOver: notHere, handOver: notHere, refuses: notHere, mayLeave: notHere, takeTransfer: notHere },
      removeMember: (brokerSet, member) => this.wanted(`${address}: remove ${member} of ${brokerSet}`),
      elect: (brokerSet, to) => this.wanted(`${address}: elect ${to ?? 'anybody'} in ${brokerSet}`),
      status: async (brokerSet) => {
        await Promise.resolve();
        const status = this.statuses.get(address);
        if (!status) throw new MqError('UNAVAILABLE', `${address} does not answer`);
        return {
          ...{ brokerSet, member: memberId('?'), role: 'following', says: '', epoch: epoch(1), leader: undefined },
          ...{ appendEnd: logPosition(0), durableEnd: logPosition(0), commitEnd: logPosition(0), state: undefined },
          ...{
            followers: [],
            lastFailover: undefined,
            failovers: [],
            membersWanted: 0,
            stalled: false,
            registryAgeMs: undefined,
            diskFull: false,
            ...status,
          },
        };
      },
    };
  }

  /** What becomes of a set's stage. */
  onStage: (brokerSet: string, stage: BrokerSetStage, groupless: boolean) => void = () => undefined;

  async setStage(brokerSet: string, stage: BrokerSetStage, groupless = false): Promise<void> {
    await this.wanted(`${brokerSet} is ${stage}${groupless ? ', without message groups' : ''}`);
    this.onStage(brokerSet, stage, groupless);
  }
  async electBeyond(brokerSet: string, member: MemberId): Promise<BeyondElection> {
    await this.wanted(`${member} alone in ${brokerSet}`);
    return { grade: 'unclean', from: logPosition(4_096), untilMs: 1_800_000_000_000 };
  }

  private async wanted(what: string): Promise<void> {
    if (this.refusal) throw this.refusal;
    this.asked.push(what);
    await Promise.resolve();
  }
}
