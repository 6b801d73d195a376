import type { QueueId, QueueOffset } from '@cometmq/model';
import { internal } from '@cometmq/proto';

import {
  replayOutcomes,
  type DeadLetterAdmin,
  type LetterReplay,
  type LettersAsked,
  type ReplayCall,
  type ReplayOutcome,
  type ResendCall,
  type ResentLetter,
} from './dead-letter-admin.js';
import { letterReplayFromWire, replayToWire, resendToWire } from './dead-letter-frames.js';
import type { LeaderChannels } from './leader-channels.js';

const service = '/cometmq.v1.BrokerService';

/** `DeadLetterAdmin` over gRPC, to the leaders that the directory names. */
export class GrpcDeadLetterAdmin implements DeadLetterAdmin {
  constructor(private readonly leaders: LeaderChannels) {}

  async replay(brokerSet: string, call: ReplayCall): Promise<readonly ReplayOutcome[]> {
    const request = internal.ReplayDeadLettersRequest.encode(replayToWire(call)).finish();
    const answer = internal.ReplayDeadLettersResponse.decode(await this.ask(brokerSet, 'ReplayDeadLetters', request));
    // A newer broker may have another reason why a letter is none to replay.
    return answer.outcomes.map((text) => replayOutcomes.find((known) => known === text) ?? 'notALetter');
  }

  async resend(brokerSet: string, call: ResendCall): Promise<ResentLetter> {
    const request = internal.ResendDeadLetterRequest.encode(resendToWire(call)).finish();
    const answer = internal.ResendDeadLetterResponse.decode(await this.ask(brokerSet, 'ResendDeadLetter', request));
    return { ...answer, queueId: answer.queueId as QueueId, offset: answer.offset as QueueOffset };
  }

  async replays(brokerSet: string, asked: LettersAsked): Promise<readonly LetterReplay[]> {
    const request = internal.ListReplaysRequest.encode(asked).finish();
    const answer = internal.ListReplaysResponse.decode(await this.ask(brokerSet, 'ListReplays', request));
    return answer.replays.map(letterReplayFromWire);
  }

  private ask(brokerSet: string, method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.leaders.ask(brokerSet, `${service}/${method}`, request);
  }
}
