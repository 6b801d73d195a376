import type { BrokerSetStage, LogPosition, MemberId } from '@cometmq/model';

import type { Asker } from './name-service.js';

/**
 * What operators say of broker sets, kept in the metadata. None of it is needed while a set has its members; each says what
 * it gives up.
 *
 * All methods: @throws MqError NOT_FOUND where there is no such set, UNAVAILABLE, BAD_REQUEST
 */
export interface SetAdmin {
  /**
   * In which routes the set is: `gone` in none, `draining` and `joining` in none for new messages.
   *
   * @param groupless while it drains, its message groups are spread over the other sets from now on
   */
  setStage(brokerSet: string, stage: BrokerSetStage, groupless?: boolean, asker?: Asker): Promise<void>;
  /**
   * Lets one member lead alone, whatever the others have: for when too few of the set come back. What only they had is lost.
   * Ends by itself after five minutes, if it has not taken the lead by then.
   * @throws MqError CONFLICT while a leader is present; NOT_FOUND where nothing is known of this member
   */
  electBeyond(brokerSet: string, member: MemberId): Promise<BeyondElection>;
}

/** How bad an election beyond the members is. */
export interface BeyondElection {
  /** `nothingMissing`: its word would have been enough by itself. `unclean`: what the others had beyond its log is lost. */
  readonly grade: 'nothingMissing' | 'unclean';
  /** So much is known to be in its log; undefined: nothing is known of it. */
  readonly from: LogPosition | undefined;
  /** Wall time at which the permission ends. */
  readonly untilMs: number;
}
