import { isDeepStrictEqual } from 'node:util';

import type { NameService } from '@cometmq/client';

import type { AdminContext } from './context.js';
import { within } from '../within.js';

export type ChangeContext = Pick<AdminContext, 'nameService' | 'directory' | 'clock' | 'requestMsMax'>;

/** How long an answer waits for this process's copy to show the change. Later than that it shows up by itself. */
const shownMsMax = 1000;

/**
 * Makes a change and waits until this process shows it, so that who reads after writing, through the same API, reads
 * what was written.
 */
export async function change<T>(
  { nameService, directory, clock, requestMsMax }: ChangeContext,
  make: (to: NameService) => Promise<T>,
  shown: (made: T) => boolean,
): Promise<T> {
  const made = await within(clock, requestMsMax, 'the name service', make(nameService));
  await directory.until(() => (shown(made) ? true : undefined), shownMsMax, '').catch(() => undefined);
  return made;
}

/** Equal as the API shows them: fields that are absent here and undefined there are the same. */
export function looksLike(shown: unknown, made: unknown): boolean {
  return isDeepStrictEqual(shown, made);
}
