import type { MemberStatus, Peer, Peers } from '@cometmq/client';
import { epoch, logPosition, memberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** Members of broker sets that say what they are told to; one that is told nothing is away. */
export class FakeMembers implements Peers {
  /** By address. */
  readonly statuses = new Map<string, Partial<MemberStatus>>();
  /** What operators wanted of leaders. */
  readonly asked: string[] = [];
  /** Why a leader refuses what an operator wants. */
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
    const wanted = async (what: string): Promise<void> => {
      if (this.refusal) throw this.refusal;
      this.asked.push(`${address}: ${what}`);
      await Promise.resolve();
    };
    return {
      ...{ follow: notHere, askPromise: notHere, fetch: notHere, snapshot: notHere, segmentBytes: notHere },
      ...{ handOver: notHere, refuses: notHere },
      elect: (brokerSet, to) => wanted(`elect ${to ?? 'anybody'} in ${brokerSet}`),
      removeMember: (brokerSet, member) => wanted(`remove ${member} of ${brokerSet}`),
      status: async (brokerSet) => {
        await Promise.resolve();
        const status = this.statuses.get(address);
        if (!status) throw new MqError('UNAVAILABLE', `${address} does not answer`);
        return {
          ...{ brokerSet, member: memberId('?'), role: 'following', says: '', epoch: epoch(1), leader: undefined },
          ...{ appendEnd: logPosition(0), durableEnd: logPosition(0), commitEnd: logPosition(0), state: undefined },
          ...{ followers: [], lastFailover: undefined, ...status },
        };
      },
    };
  }
}
