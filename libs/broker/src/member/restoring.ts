/**
 * A member of a set whose data folder is damaged where it can't be opened any more takes the folder anew of its leader. It
 * stays the same member: whoever leads in the set's current epoch has all that this one ever acknowledged.
 */
import type { PresentMember, Peers, SetReading, SetRegistry } from '@cometmq/client';
import { type Clock, failureFacts, MqError, sleep } from '@cometmq/shared';
import type { StorePorts, TermNote } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

const againMs = 500;
/** Then the process ends, and says what is damaged. */
const patienceMs = 60_000;

export interface RestoreParts {
  readonly store: StorePorts;
  readonly registry: SetRegistry;
  readonly peers: Peers;
  readonly brokerSet: string;
  /** The name of this member's place. */
  readonly place: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Damage that others can help with; not a folder that is in use, another broker's, or of another release. */
export function isDamage(caught: unknown): caught is MqError {
  if (!(caught instanceof MqError)) return false;
  return caught.code === 'CORRUPT_RECORD' || (caught.code === 'DATA_FOLDER' && isDamage(caught.cause));
}

/** The store can be started once it resolves. @throws MqError `damage` where nobody leads who could help */
export async function restoreFromLeader(parts: RestoreParts, damage: MqError): Promise<void> {
  const { store, peers, brokerSet, clock, log } = parts;
  log.error(failureFacts(damage), 'the data folder is damaged: all of it is taken anew of the leader');
  const noted = store.term.read();
  for (const endMs = clock.monotonicMs() + patienceMs; clock.monotonicMs() < endMs; await sleep(clock, againMs)) {
    try {
      const reading = await parts.registry.readSet(brokerSet);
      const leader = leaderOf(reading, noted, parts.place);
      if (!leader || !reading.state) continue;
      const info = await store.restore(peers.peer(leader.address).snapshot(brokerSet, reading.state.epoch));
      log.warn({ leader: leader.member, position: info.position, bytes: info.bytes }, 'the data folder is whole again');
      return;
    } catch (caught) {
      log.warn(failureFacts(caught), 'the data folder could not be taken anew yet; trying again');
    }
  }
  throw damage;
}

/** Of the set's current epoch, as far as the store behind the name service is not behind what this member has seen. */
function leaderOf({ state, storeId, generation, present }: SetReading, { acted }: TermNote, place: string) {
  if (!state || state.leader.startsWith(`${place}/`)) return undefined;
  if (acted && (acted.storeId !== storeId || acted.generation !== generation)) return undefined;
  if (state.revision < (acted?.revision ?? 0) || state.epoch < (acted?.epoch ?? 0)) return undefined;
  return present.find((one: PresentMember) => one.member === state.leader && one.leads === state.epoch);
}
