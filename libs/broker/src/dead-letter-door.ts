import {
  letterReplayToWire,
  lettersAskedFromWire,
  replayFromWire,
  resendFromWire,
  type DeadLetterAdmin,
} from '@cometmq/client';
import { internal } from '@cometmq/proto';
import { answering, type GrpcMethod } from '@cometmq/rpc';

/** The internal calls about dead letters. */
export function deadLetterMethods(admin: () => DeadLetterAdmin, brokerName: string): Record<string, GrpcMethod> {
  return {
    ReplayDeadLetters: unary(async (bytes) => {
      const call = replayFromWire(internal.ReplayDeadLettersRequest.decode(bytes));
      const outcomes = [...(await admin().replay(brokerName, call))];
      return internal.ReplayDeadLettersResponse.encode({ outcomes }).finish();
    }),
    ResendDeadLetter: unary(async (bytes) => {
      const call = resendFromWire(internal.ResendDeadLetterRequest.decode(bytes));
      return internal.ResendDeadLetterResponse.encode(await admin().resend(brokerName, call)).finish();
    }),
    ListReplays: unary(async (bytes) => {
      const asked = lettersAskedFromWire(internal.ListReplaysRequest.decode(bytes));
      const replays = await admin().replays(brokerName, asked);
      return internal.ListReplaysResponse.encode({ replays: replays.map(letterReplayToWire) }).finish();
    }),
  };
}

function unary(act: (request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return { kind: 'unary', handler: answering(act) };
}
