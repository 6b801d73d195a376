import { MqError, sleep } from '@cometmq/shared';
import type { GroupView } from '@cometmq/admin';

import { visible } from '../printer.js';
import type { Session } from '../session.js';
import { groupPath } from './group.js';

const pauseMs = 200;
/** For how long a group that could not be deleted yet is tried again. */
const tryMsMax = 30_000;
/** How much later a group may come whose making was not answered. */
const lateMsMax = 5_000;

export interface OwnGroup {
  readonly name: string;
  readonly start: { readonly at: 'first' | 'end' };
}

/**
 * Runs `use` with a consumer group that is made for it, and deletes that however it ends: also where nobody knows whether
 * it was made, and not just once where the servers are busy.
 */
export async function withOwnGroup(session: Session, group: OwnGroup, use: () => Promise<void>): Promise<void> {
  try {
    await session.api().call<GroupView>('POST', '/groups', group);
  } catch (caught) {
    if (isUnknown(MqError.from(caught))) await remove(session, group.name, true);
    throw caught;
  }
  try {
    await use();
  } finally {
    await remove(session, group.name, false);
  }
}

/** It may have been done, or be done later. */
function isUnknown({ code }: MqError): boolean {
  return code === 'TIMEOUT' || code === 'UNAVAILABLE' || code === 'INTERNAL';
}

/** @param mayCome nobody knows whether it was made */
async function remove(session: Session, group: string, mayCome: boolean): Promise<void> {
  const { clock } = session.world;
  const endMs = clock.monotonicMs() + (mayCome ? lateMsMax : tryMsMax);
  for (let told = false; ; told = true) {
    const error = await session
      .api()
      .call('DELETE', `${groupPath(group)}?now=true`)
      .then(() => undefined, MqError.from);
    if (!error) return;
    const isGone = error.code.endsWith('NOT_FOUND');
    const goesOn = (isGone ? mayCome : error.retry) && clock.monotonicMs() < endMs;
    if (isGone && !goesOn) return;
    if (!goesOn) {
      const reason = visible(error.reason);
      session.note(`group "${group}" ${mayCome ? 'may be' : 'is'} left behind: ${reason} (see "comet group delete")`);
      return;
    }
    if (!told && !isGone) session.note(`group "${group}" can't be deleted yet: ${visible(error.reason)}; trying again`);
    await sleep(clock, pauseMs);
  }
}
