import { resourceText } from '@cometmq/auth';
import type { Action, PolicyEntry, User, UserKind, UserPolicies, UserQuota } from '@cometmq/model';

export interface PolicyView {
  readonly resource: string;
  readonly actions: readonly Action[];
  readonly decision: 'allow' | 'deny';
  readonly sourceIps: readonly string[];
  readonly policy: 'custom' | 'default';
}

export interface UserView {
  readonly name: string;
  readonly kind: UserKind;
  readonly enabled: boolean;
  readonly quota?: UserQuota;
  /** Whether a login needs a code besides the secret. */
  readonly secondFactor: boolean;
  /** Which key its secret is sealed under. */
  readonly keyId: string;
  readonly createdMs: number;
  readonly policies: readonly PolicyView[];
}

export function policyView({ resource, actions, decision, sourceIps, policy }: PolicyEntry): PolicyView {
  return { resource: resourceText(resource), actions, decision, sourceIps, policy };
}

/** Without its secret, which nobody is shown twice. */
export function userView(user: User, policies?: UserPolicies): UserView {
  const { name, kind, enabled, quota, secret, createdMs, totp } = user;
  const shown = (policies?.entries ?? []).map(policyView);
  const secondFactor = totp !== undefined;
  return {
    name,
    kind,
    enabled,
    ...(quota && { quota }),
    secondFactor,
    keyId: secret.keyId,
    createdMs,
    policies: shown,
  };
}
