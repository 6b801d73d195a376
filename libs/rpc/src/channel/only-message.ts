import { MqError } from '@cometmq/shared';
import type { IncomingStream } from '../rpc-channel.js';

/** The answer of a unary call: its stream has one message and a good end. */
export function onlyMessageOf(stream: IncomingStream): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let answer: Uint8Array | undefined;
    stream.onMessage((message) => {
      if (answer !== undefined) throw new MqError('INTERNAL', 'an answer of more than one message');
      answer = message;
    });
    stream.onEnd((error) => {
      if (error !== undefined) reject(error);
      else if (answer === undefined) reject(new MqError('INTERNAL', 'an answer without a message'));
      else resolve(answer);
    });
  });
}
