import type {
  IdentityUpdate,
  PolicyEntry,
  RevokedToken,
  User,
  UserChange,
  UserDraft,
  UserPolicies,
} from '@cometmq/model';

import type { Asker } from './name-service.js';

/**
 * Users and their policies: changed here, and watched from here by those who check identities. The directory tells
 * nothing of them. Secrets are sealed before they get here, and opened by who watches; nobody between can read them.
 */
export interface IdentityService {
  /**
   * Gives all there is first, then every change in order, until the returned function is called. After a broken connection
   * the whole comes again. `listener` is never called from inside `watch`.
   */
  watch(listener: (update: IdentityUpdate) => void): () => void;
  /** @throws MqError ALREADY_EXISTS, BAD_REQUEST, FORBIDDEN when there are as many as may be */
  createUser(draft: UserDraft, asker?: Asker): Promise<User>;
  /** @throws MqError NOT_FOUND, BAD_REQUEST, CONFLICT where it is the last super user that is enabled, and would not be */
  updateUser(name: string, change: UserChange, asker?: Asker): Promise<User>;
  /** With its policies. @throws MqError NOT_FOUND, CONFLICT where it is the last super user that is enabled */
  deleteUser(name: string, asker?: Asker): Promise<void>;
  /**
   * Replaces all policies of a user; none: it may do nothing.
   * @param before what they are to be until then; left out: whatever they are
   * @throws MqError NOT_FOUND, BAD_REQUEST, CONFLICT where they are not `before` any more
   */
  setPolicies(policies: UserPolicies, before?: readonly PolicyEntry[], asker?: Asker): Promise<void>;
  /** Whoever watches does not take the token any more. @throws MqError TOO_MANY_REQUESTS while as many are as may be */
  revokeToken(token: RevokedToken): Promise<void>;
}
