import { createHmac } from 'node:crypto';

import type { User, UserChange, UserDraft } from '@cometmq/model';
import { MqError, sleep, type Clock, type Component } from '@cometmq/shared';

import type { IdentityBook } from './identity-book.js';
import { Secret, type SecretBox } from './secrets.js';
import { secretText, userName } from './users.js';

export interface Credentials {
  readonly user: string;
  readonly secret: Secret;
}

/** `<name> <secret>`, or each on a line of its own. @throws MqError CONFIG */
export function credentialsIn(text: string): Credentials {
  const [user = '', secret = '', ...rest] = text.trim().split(/\s+/);
  try {
    if (rest.length > 0) throw new MqError('BAD_REQUEST', 'it holds more than a name and a secret');
    return { user: userName(user), secret: new Secret(secretText(secret)) };
  } catch (caught) {
    throw new MqError(
      'CONFIG',
      `the file of the admin's name and secret can't be used: ${MqError.from(caught).reason}`,
    );
  }
}

export interface FirstAdminOptions {
  readonly credentials: Credentials;
  readonly identities: {
    createUser(draft: UserDraft): Promise<User>;
    updateUser(name: string, change: UserChange): Promise<User>;
  };
  readonly book: IdentityBook;
  readonly box: SecretBox;
  readonly clock: Clock;
  /** Told once of each reason for which somebody has to do something. It is tried on: what they do counts at once. */
  readonly failed: (error: MqError) => void;
  /** How long the start waits until the admin is let in. 0: not at all. */
  readonly startWaitMs: number;
}

const againMs = 1_000;

/**
 * The super user that a cluster begins with. A secret that is new in its file is given to the user at the next start, which is how it
 * is rotated by those who keep it there, and how one that was lost is replaced. What the file said before is not said again: a secret
 * that the user was given otherwise stays.
 */
export class FirstAdmin implements Component {
  readonly name = 'first admin';
  private stopped = false;
  /** The user has had the file's secret while this process ran: what it was given since then is another's word. */
  private isSaid = false;

  constructor(private readonly options: FirstAdminOptions) {}

  /** Resolves once the admin is let in here, or can't be now, or after `startWaitMs`; it is tried on after that. */
  start(): Promise<void> {
    const { clock, startWaitMs } = this.options;
    return new Promise((resolve) => {
      const timer = clock.after(startWaitMs, resolve);
      void this.persist(() => {
        timer.cancel();
        resolve();
      });
      if (startWaitMs === 0) resolve();
    });
  }

  stop(): Promise<void> {
    this.stopped = true;
    return Promise.resolve();
  }

  /** @param known when it is let in, or known why not */
  private async persist(known: () => void): Promise<void> {
    const { failed, clock } = this.options;
    let told = '';
    while (!this.stopped) {
      try {
        await this.ensure();
        break;
      } catch (caught) {
        const error = MqError.from(caught);
        if (!error.retry) known();
        if (!error.retry && error.reason !== told) failed(error);
        if (!error.retry) told = error.reason;
      }
      await sleep(clock, againMs);
    }
    known();
  }

  private async ensure(): Promise<void> {
    const { identities, book, box, credentials } = this.options;
    const { user: name, secret } = credentials;
    await book.until(() => book.ready, againMs);
    const isLetIn = (): boolean => book.secretOf(name)?.reveal() === secret.reveal();
    const sealed = box.seal(secret, name);
    const [adminFile = '', ...older] = marksOf(box, credentials);
    const user = book.user(name);
    if (!user) {
      // Who deleted the first admin has other super users, and does not want it back.
      if (book.hasEnabledSuper()) return;
      try {
        const made = await identities.createUser({ name, kind: 'super', enabled: true, secret: sealed, adminFile });
        this.isSaid = true;
        await book.until(isLetIn, againMs);
        return checkMark(made, adminFile);
      } catch (caught) {
        if (MqError.from(caught).code === 'ALREADY_EXISTS') throw new MqError('CONFLICT', 'somebody else was first');
        throw caught;
      }
    }
    if (user.adminFile === adminFile) return;
    const isSaidBefore = this.isSaid || older.includes(user.adminFile ?? '') || isLetIn();
    // Who has lost the app, too, comes in again.
    const given = { kind: 'super', secret: sealed, enabled: true, secondFactor: { kind: 'none' } } as const;
    const changed = await identities.updateUser(name, { ...(!isSaidBefore && given), adminFile });
    this.isSaid = true;
    if (!isSaidBefore) await book.until(isLetIn, againMs);
    checkMark(changed, adminFile);
  }
}

/** Without the mark what is changed from now on would be undone at the next start. @throws MqError UNAVAILABLE */
function checkMark(user: User, adminFile: string): void {
  if (user.adminFile === adminFile) return;
  throw new MqError('UNAVAILABLE', 'the name service does not keep yet what the admin file said; trying again');
}

/** Which secret the file holds, for who has the key file: under its newest key, and under those before. */
function marksOf(box: SecretBox, { user, secret }: Credentials): readonly string[] {
  return box
    .derived('admin file')
    .map(({ key }) => createHmac('sha256', key).update(`${user} ${secret.reveal()}`).digest('base64url'));
}
