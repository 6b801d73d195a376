import { rolesOfGroups } from '@cometmq/auth';
import { MqError, type Values } from '@cometmq/shared';

import type { oidcSettings } from '../settings.js';
import { OidcProvider } from './oidc-provider.js';

type OidcConfig = Values<typeof oidcSettings>;

/** For `declare`: all of it is right, or there is no identity provider. */
export function oidcRule(config: OidcConfig): true | string {
  const { oidcIssuer, oidcClientId, oidcConsoleUrl, oidcScopes, oidcRoles } = config;
  if (oidcIssuer === '') return true;
  if (!isSafeUrl(oidcIssuer)) return `oidcIssuer: "${oidcIssuer}" must be an https URL; http is for loopback addresses`;
  if (oidcClientId === '') return 'oidcClientId: must name the client that the identity provider knows the console by';
  if (!isSafeUrl(oidcConsoleUrl)) return 'oidcConsoleUrl: must be the https URL of the console; http is for loopback';
  if (!oidcScopes.includes('openid')) return 'oidcScopes: must have openid among them';
  if (oidcRoles.length === 0) return 'oidcRoles: must give a role to one group at least, or nobody can log in';
  try {
    rolesOfGroups(oidcRoles);
    return true;
  } catch (caught) {
    return MqError.from(caught).reason;
  }
}

/** Undefined: the settings name none. @throws MqError CONFIG */
export function oidcOf(config: OidcConfig, readFile: (path: string) => string): OidcProvider | undefined {
  if (config.oidcIssuer === '') return undefined;
  return new OidcProvider({
    issuer: config.oidcIssuer,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecretFile === '' ? undefined : secretIn(config.oidcClientSecretFile, readFile),
    consoleUrl: config.oidcConsoleUrl,
    scopes: config.oidcScopes,
    nameClaim: config.oidcNameClaim,
    groupsClaim: config.oidcGroupsClaim,
    roles: rolesOfGroups(config.oidcRoles),
    audiences: config.oidcAudiences,
    deviceClientId: config.oidcDeviceClientId === '' ? undefined : config.oidcDeviceClientId,
    loginMsMax: config.oidcLoginMsMax,
  });
}

function secretIn(path: string, readFile: (path: string) => string): string {
  let secret: string;
  try {
    secret = readFile(path).trim();
  } catch (caught) {
    const why = caught instanceof Error ? caught.message : '';
    throw new MqError('CONFIG', `oidcClientSecretFile ${path} can't be read: ${why}`);
  }
  if (secret === '') throw new MqError('CONFIG', `oidcClientSecretFile ${path} is empty`);
  return secret;
}

/** What is secret on its way there stays so. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}
