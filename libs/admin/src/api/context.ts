import type { AuditLog, Authenticator, BearerTokens, IdentityBook, SecondFactor, SecretBox } from '@cometmq/auth';
import type { BrokerAdmin, Directory, IdentityService, NameService, Peers, SetAdmin } from '@cometmq/client';
import { MqError, type Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import type { AlertBook } from '../alerts/alert-book.js';
import type { OidcProvider } from '../oidc/oidc-provider.js';

/** What the routes stand on. */
export interface AdminContext {
  /** The truth: everything that is changed is changed here. */
  readonly nameService: NameService;
  /** This process's copy of it: everything that is shown is read here. */
  readonly directory: Directory;
  readonly brokers: BrokerAdmin;
  /** Members of broker sets, each at its own address; left out: the one there is lives in this process. */
  readonly peers?: Peers | undefined;
  /** What operators say of broker sets; left out with `peers`. */
  readonly sets?: SetAdmin | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the name service or a broker may take. */
  readonly requestMsMax: number;
  /** Left out: nobody looks for alerts. */
  readonly alerts?: AlertBook | undefined;
  /** Where each change, refusal and look at messages is recorded; left out: nowhere. */
  readonly audit?: AuditLog | undefined;
  /** Left out: there are no users, and everybody may do everything. */
  readonly identity?: AdminIdentity | undefined;
}

/** Users: who asks is known by them, and they are changed here. */
export interface AdminIdentity {
  readonly service: IdentityService;
  readonly book: IdentityBook;
  readonly box: SecretBox;
  readonly tokens: BearerTokens;
  readonly authenticator: Authenticator;
  readonly secondFactor: SecondFactor;
  readonly clock: Clock;
  /** Who people may log in by besides; left out: nobody. */
  readonly oidc?: OidcProvider | undefined;
  /** What policies on the cluster name it. */
  readonly clusterName: string;
  /** The super user whose first secret was printed at the first start; left out: none was. */
  readonly printedAdmin?: string | undefined;
}

/** @throws MqError UNSUPPORTED */
export function identityOf({ identity }: AdminContext): AdminIdentity {
  if (identity) return identity;
  throw new MqError(
    'UNSUPPORTED',
    'there are no users here, and nobody has to log in; --users at the start makes some',
  );
}
