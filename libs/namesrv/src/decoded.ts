import { MqError } from '@cometmq/shared';

/** A request as the message it should be. @throws MqError BAD_REQUEST */
export function decoded<Q>(codec: { decode(bytes: Uint8Array): Q }, bytes: Uint8Array): Q {
  try {
    return codec.decode(bytes);
  } catch (caught) {
    throw new MqError('BAD_REQUEST', 'the request is not the message it should be', { cause: caught });
  }
}
