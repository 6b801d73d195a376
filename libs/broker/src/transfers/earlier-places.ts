/**
 * Recall handles and transaction ids name a place in the log of the broker set that wrote them. Where that set has handed the
 * message over, the set that has it now finds it by that place.
 */
import type { TransfersView } from '@cometmq/consumption';
import { Envelope, hashText, placeKey, RecordKind, type PendingPlace } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

export interface EarlierPlacesParts {
  readonly store: Pick<StorePorts, 'findByKey' | 'readAll'>;
  readonly transfers: TransfersView;
}

/** Messages with the same hash of their place. */
const sameHashMax = 16;

export class EarlierPlaces {
  constructor(private readonly parts: EarlierPlacesParts) {}

  /** The place in this set's log; undefined: the message never came here, or is not kept any more. */
  async here(place: PendingPlace): Promise<PendingPlace | undefined> {
    const { store, transfers } = this.parts;
    const { from, topicId } = place;
    if (from === undefined) return place;
    if (!transfers.hasTaken) return undefined;
    const hash = hashText(placeKey(from, place.position));
    const candidates = await store.findByKey(topicId, hash, 0, Number.MAX_SAFE_INTEGER, sameHashMax);
    for (const found of await store.readAll(candidates)) {
      if (found instanceof MqError || found.kind !== RecordKind.transferredPending || found.topicId !== topicId)
        continue;
      const past = new Envelope(found.payload).transferMark?.past;
      const isIt = past?.places.some(
        (known) => known.brokerSet === from && known.position === place.position && known.size === place.size,
      );
      // One that is moved on from here is found where it is now.
      if (past && isIt) return { topicId, position: found.position, size: found.size, dueMs: past.dueMs };
    }
    return undefined;
  }
}
