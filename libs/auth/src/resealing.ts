import type { User, UserChange } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { IdentityBook } from './identity-book.js';
import type { SecondFactor } from './second-factor.js';
import type { SecretBox } from './secrets.js';

export interface Resealing {
  readonly book: IdentityBook;
  readonly box: SecretBox;
  readonly secondFactor: SecondFactor;
  readonly update: (name: string, change: UserChange) => Promise<User>;
  /** How long to wait to hear of somebody else's change. */
  readonly waitMs: number;
}

const triesMax = 3;

/**
 * The user's secret and second factor under the newest key of the key file, and what else is to change. Both are sealed from this
 * process's copy, so the metadata compares what they were opened from: where somebody has changed one meanwhile it is done again
 * from what is there then, and never brings back what was.
 *
 * @throws MqError NOT_FOUND; CONFLICT when the secret can't be opened here, or is changed all the time; UNAVAILABLE when a name service
 * of an earlier release has left the second factor as it was
 */
export async function resealed(name: string, beside: UserChange, parts: Resealing): Promise<User> {
  const { book, box, secondFactor, update, waitMs } = parts;
  for (let tries = 1; ; tries += 1) {
    const user = book.user(name);
    const secret = book.secretOf(name);
    if (!user) throw new MqError('NOT_FOUND', `there is no user ${name}`);
    if (!secret) {
      throw new MqError(
        'CONFLICT',
        'the secret can not be opened with the keys of this process; give the user a new one',
      );
    }
    try {
      const done = await update(name, {
        ...beside,
        ...{ secret: box.seal(secret, name), resealed: true, secretWas: user.secret.box },
        secondFactor: secondFactor.resealed(user),
      });
      checkKeys(done, box.keyId);
      return done;
    } catch (caught) {
      if (MqError.from(caught).code !== 'CONFLICT' || tries === triesMax) throw caught;
    }
    await book.until(() => book.user(name) !== user, waitMs).catch(() => undefined);
  }
}

/** Whoever takes the old key out of the file must be able to rely on it. */
function checkKeys({ name, totp }: User, keyId: string): void {
  if (!totp || totp.secret.keyId === keyId) return;
  throw new MqError(
    'UNAVAILABLE',
    `the second factor of user ${name} is still under the old key, as the name service is of an earlier release; try again when it is upgraded`,
  );
}
