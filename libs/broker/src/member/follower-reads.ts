/**
 * What a member reads for consumers that are far behind, so that its leader need not: messages at places that the leader
 * has named to a proxy. It decides nothing; positions never change, so it gives what the leader would have given.
 */
import type { MessagePlace, ReadMessage } from '@cometmq/client';
import { MqError } from '@cometmq/shared';
import { countWithin } from '@cometmq/store';

import type { MemberSelf } from './member-self.js';

/** Messages of one call; a proxy asks for what one receive or pull was given. */
const placesMax = 10_000;
/** Read at a time, so that a call whose reader is slow holds little. */
const chunkBytes = 4 * 1024 * 1024;
const chunkMessages = 256;
/** A record is never larger, whatever the settings are. */
const recordBytesMax = 64 * 1024 * 1024;

export class FollowerReads {
  private messages = 0;
  private bytes = 0;

  constructor(private readonly self: MemberSelf) {}

  get figures(): Readonly<Record<'messages' | 'bytes', number>> {
    return { messages: this.messages, bytes: this.bytes };
  }

  read(places: readonly MessagePlace[]): AsyncIterable<ReadMessage> {
    if (!this.self.isOpened) throw new MqError('UNAVAILABLE', 'this member is not ready');
    if (places.length > placesMax)
      throw new MqError('BAD_REQUEST', `${places.length} messages are asked for; ${placesMax} are answered at most`);
    for (const { position, size } of places) {
      if (position >= 0 && Number.isSafeInteger(position + size) && size > 0 && size <= recordBytesMax) continue;
      throw new MqError('BAD_REQUEST', `no message takes ${size} bytes at position ${position}`);
    }
    return this.inChunks(places);
  }

  private async *inChunks(places: readonly MessagePlace[]): AsyncIterable<ReadMessage> {
    const { store } = this.self.parts;
    for (let at = 0; at < places.length;) {
      const next = places.slice(at, at + chunkMessages);
      const count = countWithin(await store.sizesOf(next), chunkBytes);
      yield* await this.chunk(next.slice(0, count));
      at += count;
    }
  }

  private async chunk(places: readonly MessagePlace[]): Promise<ReadMessage[]> {
    const { store } = this.self.parts;
    const found = await store.lookUp(places);
    return places.map(({ position, size }, i) => {
      // What is not known here to be committed may be cut off yet.
      const isCommitted = position + size <= store.commitEnd;
      const notHere = new MqError('NOT_FOUND', `position ${position} is not committed here`);
      const message = (isCommitted ? found[i] : undefined) ?? notHere;
      if (message instanceof MqError) return { position, body: message };
      this.messages += 1;
      this.bytes += message.payload.byteLength;
      const { payload, timestampMs: storedMs, originTopicId } = message;
      return { position, body: { payload, storedMs, originTopicId } };
    });
  }
}
