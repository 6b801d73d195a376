/**
 * How our own processes know one another: TLS with a certificate on both sides, all of one authority that is the cluster's own.
 * What a process is stands in its certificate as a DNS name:
 *
 *   namesrv.cometmq.internal   broker.cometmq.internal   proxy.cometmq.internal   dashboard-api.cometmq.internal
 *
 * Who connects looks for the role it wants to reach, wherever that listens. Who is connected to lets in those that have a
 * certificate of the authority, and for each call those whose role it is for (`ProcessCallers`). Renewed files are used from
 * the next connection on; connections that are open stay.
 */
import type { ConnectionOptions, PeerCertificate, SecureContext } from 'node:tls';
import { experimental, type ChannelCredentials, type ServerCredentials } from '@grpc/grpc-js';
import { MqError, text } from '@cometmq/shared';
import type { Clock, Component } from '@cometmq/shared';
import { IdentityWatch, type Tell } from './identity-watch.js';
import { secureContextOf } from './tls-context.js';
import type { TlsIdentity } from './tls-identity.js';

export const processRoles = ['namesrv', 'broker', 'proxy', 'dashboard-api'] as const;
export type ProcessRole = (typeof processRoles)[number];

/** Whose call it is, by path (`/package.Service/Method`). What is not there is for nobody. */
export type ProcessCallers = ReadonlyMap<string, readonly ProcessRole[]>;

const domain = 'cometmq.internal';
export const nameOfRole = (role: ProcessRole): string => `${role}.${domain}`;

export const processTlsSettings = {
  internalTlsCertFile: text({
    default: '',
    why: 'PEM file of this process’s certificate towards our other processes, with its role as a DNS name such as "broker.cometmq.internal". Empty: plain text, and whoever reaches a port is believed.',
  }),
  internalTlsKeyFile: text({ default: '', why: 'PEM file of that certificate’s key.' }),
  internalTlsCaFile: text({
    default: '',
    why: 'PEM file of the authorities that vouch for our other processes, and for nobody else.',
  }),
};

interface ProcessTlsConfig {
  readonly internalTlsCertFile: string;
  readonly internalTlsKeyFile: string;
  readonly internalTlsCaFile: string;
}

/** For `declare`: what goes together. */
export function processTlsRule(config: ProcessTlsConfig): true | string {
  const given = [config.internalTlsCertFile, config.internalTlsKeyFile, config.internalTlsCaFile];
  const missing = given.filter((file) => file === '').length;
  return (
    missing === 0 ||
    missing === given.length ||
    'internalTlsCertFile, internalTlsKeyFile, internalTlsCaFile: go together'
  );
}

/** Undefined: plain text. @throws MqError CONFIG */
export function processTlsOf(
  config: ProcessTlsConfig,
  readFile: (path: string) => string,
  clock: Clock,
  tell: Tell,
): ProcessTls | undefined {
  const { internalTlsCertFile, internalTlsKeyFile, internalTlsCaFile } = config;
  if (internalTlsCertFile === '') return undefined;
  const load = (): TlsIdentity => ({
    certPem: readFile(internalTlsCertFile),
    keyPem: readFile(internalTlsKeyFile),
    caPem: readFile(internalTlsCaFile),
  });
  return new ProcessTls({ load, clock, tell });
}

export interface ProcessTlsOptions {
  /** What the files hold now. May throw. */
  readonly load: () => TlsIdentity;
  readonly clock: Clock;
  readonly tell: Tell;
}

/** How a channel knows whom it speaks with. */
export type ChannelTls =
  /** One of our own processes, of this role. */
  | { readonly process: ProcessTls; readonly to: ProcessRole }
  /** Anybody's server. */
  | {
      /** Authorities to believe, as PEM; those of Node.js if left out. */
      readonly caPem?: string;
      /** The name the certificate must carry, where it is not the address's. */
      readonly serverName?: string;
    };

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

export class ProcessTls implements Component, experimental.CertificateProvider {
  readonly name = 'certificates between processes';
  /** Of the certificate in use: for sockets of one's own. Asked for anew with each connection. */
  context: SecureContext;
  /** For channels of grpc-js; all may share it. */
  readonly channelCredentials: ChannelCredentials;
  readonly serverCredentials: ServerCredentials;
  private identity: TlsIdentity;
  private readonly watch: IdentityWatch;
  private readonly caListeners = new Set<CaListener>();
  private readonly identityListeners = new Set<IdentityListener>();
  private readonly listeners = new Set<(context: SecureContext) => void>();

  /** @throws MqError CONFIG where the files can't be used */
  constructor(options: ProcessTlsOptions) {
    try {
      this.identity = options.load();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new MqError('CONFIG', `the certificates between processes can't be read: ${why}`, { cause });
    }
    this.context = secureContextOf(this.identity);
    this.watch = new IdentityWatch({ ...options, use: (identity) => this.use(identity) });
    this.channelCredentials = experimental.createCertificateProviderChannelCredentials(this, this);
    this.serverCredentials = experimental.createCertificateProviderServerCredentials(this, this, true);
  }

  start(): Promise<void> {
    this.watch.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.watch.stop();
    return Promise.resolve();
  }

  /** For `tls.connect`: the other end must have this role. */
  connecting(to: ProcessRole): ConnectionOptions {
    return { secureContext: this.context, servername: nameOfRole(to), rejectUnauthorized: true };
  }

  /** For `tls.createServer`, which is told of renewed certificates by `onRenewed`: the other end must have a certificate. */
  accepting(): {
    readonly requestCert: true;
    readonly rejectUnauthorized: true;
    readonly secureContext: SecureContext;
  } {
    return { requestCert: true, rejectUnauthorized: true, secureContext: this.context };
  }

  onRenewed(listener: (context: SecureContext) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.caListeners.add(listener);
    // Not at once: grpc-js listens before it can hear.
    process.nextTick(() => {
      if (this.caListeners.has(listener)) listener({ caCertificate: Buffer.from(this.identity.caPem ?? '') });
    });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.identityListeners.add(listener);
    process.nextTick(() => {
      if (this.identityListeners.has(listener)) listener(pairOf(this.identity));
    });
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.identityListeners.delete(listener);
  }

  private use(identity: TlsIdentity): void {
    this.context = secureContextOf(identity);
    this.identity = identity;
    for (const listener of this.caListeners) listener({ caCertificate: Buffer.from(identity.caPem ?? '') });
    for (const listener of this.identityListeners) listener(pairOf(identity));
    for (const listener of this.listeners) listener(this.context);
  }
}

const pairOf = ({ certPem, keyPem }: TlsIdentity): { certificate: Buffer; privateKey: Buffer } => ({
  certificate: Buffer.from(certPem),
  privateKey: Buffer.from(keyPem),
});

/** What a certificate that an authority of ours has signed says its process is. */
export function rolesIn({ subjectaltname = '' }: Pick<PeerCertificate, 'subjectaltname'>): ProcessRole[] {
  const names = subjectaltname.split(', ');
  return processRoles.filter((role) => names.includes(`DNS:${nameOfRole(role)}`));
}

/** Undefined: the call is for such a process. */
export function refusalOf(path: string, roles: readonly ProcessRole[], callers: ProcessCallers): MqError | undefined {
  const wanted = callers.get(path) ?? [];
  if (wanted.some((role) => roles.includes(role))) return undefined;
  const who = roles.length === 0 ? 'a process without a role in its certificate' : roles.join(', ');
  return new MqError('UNAUTHORIZED', `${path} is for ${wanted.join(', ') || 'nobody'}, not for ${who}`);
}
