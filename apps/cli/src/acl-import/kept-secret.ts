import { secretText } from '@cometmq/auth';

import type { Imported, Place } from './imported.js';

/** The secret if it may be one here; else a new one will be made, and that is said. */
export function keptSecret(
  text: string | undefined,
  place: Place,
  subject: string,
  { leftOut }: Imported,
): { readonly secret?: string } {
  const instead = `the user gets a new one: comet user rotate ${subject}`;
  if (text === undefined) {
    leftOut.push({ place, subject, why: `no secret stands here; ${instead}` });
    return {};
  }
  try {
    return { secret: secretText(text) };
  } catch {
    leftOut.push({ place, subject, why: `a secret has 8 to 256 visible ASCII characters; ${instead}` });
    return {};
  }
}
