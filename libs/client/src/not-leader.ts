import { MqError } from '@cometmq/shared';

/** Who leads a broker set, as somebody has heard. Of two, the one with the higher epoch is right. */
export interface KnownLeader {
  readonly epoch: number;
  /** host:port of its internal service. */
  readonly address: string;
  readonly member: string;
}

/** This broker does not lead (any more); it says who does, where it knows that. The call may be repeated there. */
export class NotLeader extends MqError {
  constructor(
    reason: string,
    readonly leader: KnownLeader | undefined,
  ) {
    super('NOT_LEADER', reason);
  }
}
