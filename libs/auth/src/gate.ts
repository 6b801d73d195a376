import type { RevokedToken, User, UserChange, UserDraft } from '@cometmq/model';
import { MqError, type Clock, type Component, type Values } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { openAccess, type Access } from './access.js';
import { Authenticator } from './authenticator.js';
import { credentialsIn, FirstAdmin } from './first-admin.js';
import { IdentityBook, type IdentitySource } from './identity-book.js';
import { SecondFactor } from './second-factor.js';
import { SecretBox } from './secrets.js';
import type { authSettings, loginSettings } from './settings.js';
import { BearerTokens } from './tokens.js';

export interface GateParts {
  readonly config: Values<typeof authSettings> & Partial<Values<typeof loginSettings>>;
  /** Texts of the key file and of the admin's; undefined: there are no users, and everybody is let in. */
  readonly files: { readonly keys: string; readonly admin: string | undefined } | undefined;
  readonly identities: IdentitySource & {
    createUser(draft: UserDraft): Promise<User>;
    updateUser(name: string, change: UserChange): Promise<User>;
    revokeToken(token: RevokedToken): Promise<void>;
  };
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the start waits until the first admin is let in. Default: not at all, as others may be away. */
  readonly startWaitMs?: number;
}

/** All that a process needs to know who calls. */
export interface Gate {
  readonly access: Access;
  /** Undefined: there are no users. */
  readonly users:
    | {
        readonly book: IdentityBook;
        readonly box: SecretBox;
        readonly tokens: BearerTokens;
        readonly authenticator: Authenticator;
        readonly secondFactor: SecondFactor;
      }
    | undefined;
  /** To be started before what asks. */
  readonly parts: readonly Component[];
  /** Undefined when it is known who may come in, else why nobody may yet: for the process's readiness. */
  readonly unready: () => string | undefined;
}

/** @throws MqError CONFIG */
export function gateOf({ config, files, identities, clock, log, startWaitMs = 0 }: GateParts): Gate {
  if (!files) return { access: openAccess, users: undefined, parts: [], unready: () => undefined };
  const box = SecretBox.of(files.keys);
  const unopened = (user: string, { reason }: MqError): void => log.error({ user, reason }, 'a user can not be let in');
  const late = (waitedMs: number): void => {
    if (waitedMs === 0) log.info({}, 'users are known now');
    else log.warn({ waitedMs }, 'users are not known yet, so nobody is let in: the name service does not tell of them');
  };
  const book = new IdentityBook({ source: identities, box, clock, unopened, late });
  const authenticator = new Authenticator({
    book,
    clock,
    ageMsMax: config.signatureAgeMsMax,
    localTimes: config.signatureLocalTimes,
  });
  const secondFactor = new SecondFactor({
    ...{ book, box, clock, authenticator, requiredOfSuper: config.superSecondFactor === true },
    update: (name, change) => identities.updateUser(name, change),
  });
  const parts: Component[] = [book];
  if (files.admin !== undefined) {
    const credentials = credentialsIn(files.admin);
    const failed = ({ reason }: MqError): void => log.error({ reason }, 'the first admin can not be made');
    parts.push(new FirstAdmin({ credentials, identities, book, box, clock, failed, startWaitMs }));
  }
  return {
    access: authenticator,
    users: { book, box, tokens: new BearerTokens(box, book, clock, identities), authenticator, secondFactor },
    parts,
    unready: () => book.unready(),
  };
}

/** For processes that are given their files. @throws MqError CONFIG */
export function gateFiles(
  config: { readonly insecure: boolean; readonly secretKeyFile: string; readonly adminSecretFile: string },
  readFile: (path: string) => string,
): GateParts['files'] {
  if (config.insecure) return undefined;
  const read = (setting: string, path: string): string => {
    try {
      return readFile(path);
    } catch (caught) {
      throw new MqError('CONFIG', `${setting} ${path} can't be read: ${caught instanceof Error ? caught.message : ''}`);
    }
  };
  const { secretKeyFile, adminSecretFile } = config;
  return {
    keys: read('secretKeyFile', secretKeyFile),
    admin: adminSecretFile === '' ? undefined : read('adminSecretFile', adminSecretFile),
  };
}

/** For `declare`: who is let in has to be said, one way or the other. */
export function gateRule({
  insecure,
  secretKeyFile,
}: {
  readonly insecure: boolean;
  readonly secretKeyFile: string;
}): true | string {
  if (insecure || secretKeyFile !== '') return true;
  return 'secretKeyFile: must name the key file of users’ secrets; or let everybody in: --insecure';
}
