import { Etcd3, type IDuplexStream, type IOptions, type IWatchRequest, type IWatchResponse } from 'etcd3';

import { MqError, throwAssertion, type Clock } from '@cometmq/shared';

import { EtcdHosts } from './etcd-hosts.js';

export interface EtcdAddress {
  /** `http://host:port` or `https://host:port`, all of one kind. */
  readonly endpoints: readonly string[];
  /** PEM; for `https`. Without `ca` the authorities of Node.js are believed. */
  readonly tls?:
    | {
        readonly ca?: Buffer | undefined;
        readonly key?: Buffer | undefined;
        readonly cert?: Buffer | undefined;
      }
    | undefined;
  /** What the files of `tls` hold now; left out: they stay as they are. May throw. */
  readonly reload?: (() => NonNullable<EtcdAddress['tls']>) | undefined;
  readonly user?: { readonly name: string; readonly password: string } | undefined;
}

/** How long one request to one endpoint may take. */
const callMsMax = 2_000;

type Policy = ReturnType<NonNullable<NonNullable<IOptions['faultHandling']>['host']>>;

type Stream = IDuplexStream<IWatchRequest, IWatchResponse>;

/**
 * etcd3 with its own fault handling taken out. It repeats a transaction whose answer was lost, and the second answer
 * would say that the first one's comparison fails; and where no endpoint answers it asks none for five seconds.
 * What is repeated, and when, is decided by the store; which endpoint is asked, by `EtcdHosts`.
 */
export class EtcdClient extends Etcd3 {
  private readonly endpoints: EtcdHosts;
  /** Those that go on. */
  private readonly watches: Set<Stream>;
  private readonly hostOf: WeakMap<Stream, string>;

  constructor(address: EtcdAddress, clock: Clock) {
    const watches = new Set<Stream>();
    const hostOf = new WeakMap<Stream, string>();
    // Its watches hear nothing any more, and would not know for ten seconds.
    const hosts = new EtcdHosts(address.endpoints.map(withoutScheme), clock, (host) => {
      for (const stream of watches) if (hostOf.get(stream) === host) stream.cancel();
    });
    super({
      hosts: [...address.endpoints],
      ...(address.tls && { credentials: credentials(address.tls) }),
      ...(address.user && { auth: { username: address.user.name, password: address.user.password } }),
      grpcOptions: {
        // etcd hangs up on who pings more often than every five seconds.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 3_000,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1_000,
        // A watch must take a transaction of any size that etcd takes, and many at once when it catches up.
        'grpc.max_receive_message_length': -1,
      },
      // A deadline is wall time, for grpc-js, which turns it at once into time left.
      defaultCallOptions: (call) => (call.isStream ? {} : { deadline: clock.wallMs() + callMsMax }),
      faultHandling: { host: (host) => hosts.policy(withoutScheme(host)), global: plain },
    });
    this.endpoints = hosts;
    this.watches = watches;
    this.hostOf = hostOf;
  }

  /** Renewed certificates and authorities: for connections that are opened from now on. Calls under way end on theirs. */
  renew(tls: NonNullable<EtcdAddress['tls']>): void {
    const pool = this.pool as unknown as PoolParts;
    pool.options.credentials = credentials(tls);
    const made = pool.buildAuthentication();
    pool.authenticator.credentials = made;
    for (const host of pool.hosts) {
      host.channelCredentials = made;
      host.resetAllServices();
    }
  }

  /**
   * To be told of each error: where it says that our token is over, or older than etcd's users are, the next request asks
   * for another one. etcd3 does so only for requests, and only when the token is over.
   */
  heard(error: unknown): void {
    const said = error instanceof Error ? error.message : String(error);
    if (!tokenErrors.some((words) => said.includes(words))) return;
    (
      this.pool as unknown as { readonly authenticator: { invalidateMetadata(): void } }
    ).authenticator.invalidateMetadata();
  }

  /**
   * A bare watch stream. etcd3's own Watcher takes the revision in the answer to its creation for one it has been told
   * of: when the connection breaks just then, what came between is never told.
   * The stream is refused by a member that has lost its cluster, else it would be told nothing for ever.
   */
  watchStream(): Promise<Stream> {
    return this.pool.withConnection('Watch', ({ resource, client, metadata }) => {
      const withLeader = metadata.clone();
      withLeader.set('hasleader', 'true');
      const stream = (client as unknown as WatchStub).watch(withLeader);
      const { host } = resource as unknown as { readonly host: string };
      this.hostOf.set(stream, host);
      this.watches.add(stream);
      stream.on('error', () => this.watches.delete(stream));
      stream.on('end', () => this.watches.delete(stream));
      return stream;
    });
  }

  /** Etcd has answered on the watch. */
  watchAnswered(stream: Stream): void {
    const host = this.hostOf.get(stream);
    if (host !== undefined) this.endpoints.answered(host);
  }

  /** The watch is over: it failed, or says nothing any more. The next one is somewhere else. */
  watchLost(stream: Stream): void {
    const host = this.hostOf.get(stream);
    this.watches.delete(stream);
    if (host !== undefined) this.endpoints.failed(host);
  }
}

/** What is inside etcd3's pool of connections. */
interface PoolParts {
  readonly options: { credentials?: IOptions['credentials'] };
  readonly authenticator: { credentials: unknown };
  readonly hosts: readonly { channelCredentials: unknown; resetAllServices(): void }[];
  buildAuthentication(): unknown;
}

/** What etcd3 makes of etcd's proto file. */
interface WatchStub {
  watch(metadata: unknown): Stream;
}

const tokenErrors = ['invalid auth token', 'auth store is old', 'user name is empty'];

const withoutScheme = (endpoint: string): string => endpoint.replace(/^https?:\/\//, '');

const never = (): { dispose(): void } => ({ dispose: () => undefined });
/** Runs what it is given, once. */
const plain = {
  onSuccess: never,
  onFailure: never,
  execute: async (act: (context: { signal: AbortSignal }) => unknown, signal?: AbortSignal) =>
    act({ signal: signal ?? new AbortController().signal }),
} as unknown as Policy;

function credentials(tls: NonNullable<EtcdAddress['tls']>): NonNullable<IOptions['credentials']> {
  return {
    // grpc-js takes none for those of Node.js; etcd3's type does not know it.
    rootCertificate: tls.ca as Buffer,
    ...(tls.key && { privateKey: tls.key }),
    ...(tls.cert && { certChain: tls.cert }),
  };
}

/** etcd's error in our words. `doing` completes "etcd … ". */
export function etcdError(caught: unknown, address: EtcdAddress): MqError {
  if (caught instanceof MqError) return caught;
  throwAssertion(caught);
  const where = address.endpoints.join(', ');
  const said = caught instanceof Error ? firstLine(caught.message) : String(caught);
  if (isRefused(caught)) {
    return new MqError('CONFIG', `etcd at ${where} refuses us: ${said}. Check user, password and certificates.`, {
      cause: caught,
    });
  }
  return new MqError('UNAVAILABLE', `etcd at ${where} does not answer: ${said}`, { cause: caught });
}

const refusals = ['EtcdPermissionDeniedError', 'EtcdAuthenticationFailedError', 'GRPCUnauthenticatedError'];

function isRefused(caught: unknown): boolean {
  return caught instanceof Error && refusals.includes(caught.constructor.name);
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/^\w*Error: /, '');
}
