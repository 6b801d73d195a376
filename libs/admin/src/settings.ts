import { count, list, millis, port, text } from '@cometmq/shared';

const second = 1000;

/** What can be set of the administrators' way in, wherever it runs. */
export const adminSettings = {
  adminHost: text({ default: '0.0.0.0', why: 'The address the REST API listens on.' }),
  adminPort: port({ default: 8082, why: 'The REST API, its OpenAPI document and its pages; 0: any free port.' }),
  adminRequestMsMax: millis({
    default: 10 * second,
    min: 100,
    max: 120 * second,
    why: 'How long the REST API waits for the name service or a broker before it answers with an error.',
  }),
  adminHostNames: list({
    default: [],
    why: 'Host names a browser may reach the REST API by while it listens on a loopback address; localhost always may.',
  }),
  trustedProxies: list({
    default: [],
    why: 'Addresses and blocks (10.244.0.0/16) of ingresses and load balancers in front of the REST API that may say by X-Forwarded-For whose request it is, for login delays, policies with addresses and the audit log. From others that header means nothing.',
  }),
  alertEveryMs: millis({
    default: 30 * second,
    min: 0,
    max: 3_600 * second,
    why: 'How often it is looked whether something is wrong; 0: never.',
  }),
  alertHoldMs: millis({
    default: 60 * second,
    min: 0,
    max: 3_600 * second,
    why: 'How long something must be wrong before anybody is told.',
  }),
  alertLagMax: count({
    default: 10_000,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    why: 'How many messages may wait for a consumer group before anybody is told.',
  }),
  alertDiskFreePercentMin: count({
    default: 15,
    min: 0,
    max: 100,
    why: 'How much of the disk must be free, in percent, before anybody is told.',
  }),
  alertWebhook: text({
    default: '',
    secret: true, // Who knows it may post there.
    why: 'URL that alerts are posted to as JSON, once when they fire and once when they are over; may hold user:password@; empty: none.',
  }),
  alertMailServer: text({
    default: '',
    secret: true,
    why: 'The SMTP server that takes alerts as mail: smtp://user:password@host:587, which uses TLS where the server offers it, or smtps://host:465; empty: none.',
  }),
  alertMailFrom: text({ default: '', why: 'The sender of those mails.' }),
  alertMailTo: list({ default: [], why: 'Who gets them.' }),
  alertTlsAddresses: list({
    default: [],
    why: 'host:port of TLS servers whose certificates are watched, such as proxies; with TLS between our processes, broker sets are watched too.',
  }),
  alertCertificateDaysMin: count({
    default: 14,
    min: 0,
    max: 3_650,
    why: 'How many days a certificate must be good for yet before anybody is told.',
  }),
};

/** Broker sets that follow the pods of their StatefulSets. */
export const scalingSettings = {
  kubernetesDir: text({
    default: '',
    why: 'The folder with the token, ca.crt and namespace of the pod’s service account, for what asks Kubernetes. Empty: nothing does.',
  }),
  scalingSelector: text({
    default: '',
    why: 'Labels of the StatefulSets of brokers, as Kubernetes selects by them; needed with scalingNotes.',
  }),
  scalingNotes: text({
    default: '',
    why: 'The name of a ConfigMap and of a service account that get how many broker sets must stay for now, and why: with it, broker sets follow the number of pods. Empty: they do not.',
  }),
  scaleInHeldMax: count({
    default: 1_000_000,
    min: 0,
    max: 1_000_000_000,
    why: 'How many messages that are not consumed, delayed messages and open transactions a broker set may hold and be scaled in, so that it has handed them over before its pods have to stop; with more it is to be taken out before.',
  }),
};

/** Topics, groups and users as resources of Kubernetes. */
export const controllerSettings = {
  controllerLease: text({
    default: '',
    why: 'The name of a Lease by which one of the dashboard APIs is chosen to put the CometTopics, CometGroups and CometUsers of its namespace into effect; needs kubernetesDir. Empty: nobody does.',
  }),
};

type ControllerSettings = Readonly<Record<'controllerLease' | 'kubernetesDir', string>>;

export function controllerRule({ controllerLease, kubernetesDir }: ControllerSettings): true | string {
  return controllerLease === '' || kubernetesDir !== '' || 'controllerLease: needs kubernetesDir';
}

/** Logins by the team's identity provider, with OpenID Connect. */
export const oidcSettings = {
  oidcIssuer: text({
    default: '',
    why: 'The identity provider people may log in by, as its discovery document names it: an https URL; empty: none.',
  }),
  oidcClientId: text({ default: '', why: 'The id of the client that the provider knows the console by.' }),
  oidcClientSecretFile: text({
    default: '',
    why: 'A file with the client’s secret; empty: a public client, which PKCE alone protects.',
  }),
  oidcConsoleUrl: text({
    default: '',
    why: 'Where browsers reach the console. The provider must send them back to <it>/api/v1/session/oidc/callback.',
  }),
  oidcScopes: list({ default: ['openid', 'profile', 'email'], why: 'What is asked of the provider; openid among it.' }),
  oidcNameClaim: text({
    default: 'preferred_username',
    why: 'The claim with somebody’s name; where it is missing, sub.',
  }),
  oidcGroupsClaim: text({ default: 'groups', why: 'The claim with somebody’s groups: a list of texts, or one.' }),
  oidcRoles: list({
    default: [],
    why: 'What the provider’s groups may do, as <group>=<role>: viewer, operator, admin, or user:<name> for what that user may. Who is in none of them is not let in.',
  }),
  oidcAudiences: list({
    default: [],
    why: 'Whom tokens that programs bring may be for, beside the console’s client.',
  }),
  oidcDeviceClientId: text({
    default: '',
    why: 'The id of a public client that may use the device flow, for comet login --oidc; empty: there is none.',
  }),
  oidcLoginMsMax: millis({
    default: 12 * 3_600 * second,
    min: 60 * second,
    max: 7 * 86_400 * second,
    why: 'How long a login by the provider is good for: who leaves a group there keeps its role until then.',
  }),
};

/** The same on a machine of one's own. */
export const localAdminSettings = {
  ...adminSettings,
  adminHost: text({
    default: '127.0.0.1',
    why: 'The address the REST API listens on.',
  }),
};

type AlertSettings = Readonly<Record<'alertMailServer' | 'alertMailFrom', string>> & {
  readonly alertMailTo: readonly string[];
  readonly alertTlsAddresses: readonly string[];
};

export function alertMailRule({ alertMailServer, alertMailFrom, alertMailTo }: AlertSettings): true | string {
  if (alertMailServer === '') return true;
  if (!/^smtps?:\/\/[^/]/.test(alertMailServer) || !URL.canParse(alertMailServer)) {
    return 'alertMailServer: must be smtp://host:port or smtps://host:port';
  }
  if (!alertMailFrom.includes('@')) return 'alertMailFrom: must be a mail address where alertMailServer is given';
  return alertMailTo.length > 0 || 'alertMailTo: must name somebody where alertMailServer is given';
}

export function alertTlsRule({ alertTlsAddresses }: AlertSettings): true | string {
  const wrong = alertTlsAddresses.find((address) => !/^(\[[^\]]+\]|[^:[\]]+):\d{1,5}$/.test(address));
  return wrong === undefined || `alertTlsAddresses: "${wrong}" is no host:port`;
}
