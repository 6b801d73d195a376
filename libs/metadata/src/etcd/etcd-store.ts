import { randomUUID } from 'node:crypto';

import type { IKeyValue, IRangeResponse, IRequestOp, ITxnResponse } from 'etcd3';

import { IdentityWatch, type Tell } from '@cometmq/rpc';
import { MqError, sleep, type Clock } from '@cometmq/shared';

import { assertWrittenOnce, leaseGone } from '../local/local-store.js';
import type {
  Committed,
  KeyValue,
  Lease,
  LeaseId,
  MetadataStore,
  Range,
  StoreUpdate,
  Transaction,
} from '../metadata-store.js';
import { Ascent, type EtcdHeader } from './ascent.js';
import { EtcdClient, etcdError, type EtcdAddress } from './etcd-client.js';
import { EtcdMeter, type EtcdOperation, type OnEtcdRequest } from './etcd-meter.js';
import { isLeaseGone, LeaseKeeper } from './lease-keeper.js';
import { Reach } from './reach.js';
import { WatchLoop } from './watch-loop.js';

export interface EtcdStoreOptions extends EtcdAddress {
  /** What all keys begin with, for instance `/cometmq/main/`; two houses may share one etcd. */
  readonly root: string;
  readonly clock: Clock;
  /** How long a read is tried, and how long an unknown outcome is asked after, before the caller is told. */
  readonly patienceMs?: number | undefined;
  /** Takes a line when etcd goes away and when it is back. */
  readonly say?: ((line: string) => void) | undefined;
  /** Takes what is to be told of renewed certificates. */
  readonly tell?: Tell | undefined;
  readonly onRequest?: OnEtcdRequest | undefined;
}

/** Below the root: a key for each transaction under way, see `commit`. Shown to nobody. */
const tokenFolder = 'tx/';
const tokenLeaseMs = 60_000;
/** A token's lease outlives this and any transaction that begins before it. */
const tokenLeaseUsedMsMax = 20_000;
const patienceMsDefault = 4_000;
const pauseMs = 100;

/** etcd (3.4 and later) as the store. Any endpoint will do for any call; where one fails the next is asked. */
export class EtcdStore implements MetadataStore {
  readonly name = 'etcd metadata';
  private readonly client: EtcdClient;
  private readonly leases: LeaseKeeper;
  private readonly reach: Reach;
  private readonly ascent = new Ascent();
  private readonly meter: EtcdMeter;
  private readonly clock: Clock;
  private readonly patienceMs: number;
  private readonly watches = new Set<WatchLoop>();
  private readonly us = randomUUID();
  private tokens = 0;
  private tokenLease: Promise<Lease> | undefined;
  private stopped = false;
  private readonly certificates: IdentityWatch | undefined;

  constructor(private readonly options: EtcdStoreOptions) {
    this.clock = options.clock;
    this.patienceMs = options.patienceMs ?? patienceMsDefault;
    this.client = new EtcdClient(options, options.clock);
    this.meter = new EtcdMeter(options.clock, options.onRequest ?? (() => undefined));
    this.leases = new LeaseKeeper(this.client, options.clock);
    this.reach = new Reach(options.say ?? (() => undefined));
    this.certificates = certificatesOf(options, this.client);
  }

  /** How long the lease lasts that ends first, of those that are being renewed; undefined: there are none. */
  get leaseRemainingMs(): number | undefined {
    return this.meter.leaseRemainingMs;
  }

  /** Doesn't wait for etcd: the first call or watch does. */
  start(): Promise<void> {
    this.certificates?.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.certificates?.stop();
    for (const watch of this.watches) watch.stop();
    this.watches.clear();
    this.leases.close();
    this.client.close();
    return Promise.resolve();
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs } = await this.patiently(() =>
      this.ascending('range', () => this.client.kv.range({ key: this.bytes(key) })),
    );
    return kvs[0] && this.pair(kvs[0]);
  }

  range(prefix: string): Promise<Range> {
    return this.patiently(async () => {
      const answer = await this.ascending('range', () => this.client.kv.range(this.bounds(prefix)));
      return this.rangeIn(answer);
    });
  }

  /**
   * With each transaction goes a key of its own, the token, that must not exist before. When the answer is lost, a
   * second transaction puts the token unless it is there: so the first has been applied, or never will be. The token
   * hangs on a lease, and a transaction that comes later than its lease is refused as a whole.
   */
  async commit(transaction: Transaction): Promise<Committed> {
    const puts = transaction.puts ?? [];
    const deletes = transaction.deletes ?? [];
    assertWrittenOnce([...puts.map((put) => put.key), ...deletes]);
    const tokenLease = await this.patiently(() => this.leaseForToken());
    const token = this.nextToken();
    const writes: IRequestOp[] = [
      { request_put: { key: token, value: Buffer.from('applied'), lease: tokenLease.id } },
      ...puts.map(({ key, value, lease }) => ({
        request_put: { key: this.bytes(key), value: Buffer.from(value), ...(lease !== undefined && { lease }) },
      })),
      ...deletes.map((key) => ({ request_delete_range: { key: this.bytes(key) } })),
    ];
    const compare = [
      absent(token),
      ...transaction.compare.map((compare) => {
        const key = this.bytes(compare.key);
        if ('value' in compare) return equals(key, Buffer.from(compare.value));
        return { ...absent(key), mod_revision: compare.modRevision };
      }),
    ];
    try {
      const answer = await this.ascending('txn', () => this.client.kv.txn({ compare, success: writes }));
      this.reach.found();
      return committed(answer);
    } catch (caught) {
      if (isLeaseGone(caught)) {
        this.tokenLease = undefined;
        throw leaseGone(puts.find((put) => put.lease !== undefined)?.lease ?? tokenLease.id);
      }
      // What etcd refuses it has not done.
      const error = this.wrong(caught);
      if (error.code === 'CONFIG') throw error;
      return this.findOut(token, tokenLease.id, caught);
    }
  }

  watch(prefix: string, listener: (update: StoreUpdate) => void, after?: number): () => void {
    const loop = new WatchLoop(
      {
        // What it tells is judged by who hears it: another store than before has to be told of too.
        range: async () =>
          this.rangeIn(await this.meter.time('range', () => this.client.kv.range(this.bounds(prefix)))),
        stream: () => this.client.watchStream(),
        bounds: this.bounds(prefix),
        change: ({ type, kv }) => {
          const pair = this.pair(kv);
          if (pair.key.startsWith(tokenFolder)) return undefined;
          return { key: pair.key, pair: type.toUpperCase() === 'DELETE' ? undefined : pair };
        },
        lost: (error) => {
          this.client.heard(error);
          if (!this.stopped) this.reach.lost(etcdError(error, this.options).reason);
        },
        gaveUp: (stream) => this.client.watchLost(stream),
        found: (stream) => {
          this.client.watchAnswered(stream);
          this.reach.found();
        },
      },
      listener,
      this.clock,
      after,
    );
    this.watches.add(loop);
    return () => {
      loop.stop();
      this.watches.delete(loop);
    };
  }

  grantLease(ttlMs: number): Promise<Lease> {
    return this.patiently(() => this.meter.time('lease_grant', () => this.leases.grant(ttlMs))); // One granted twice ends by itself.
  }

  keepLease(id: LeaseId): Promise<Lease | undefined> {
    return this.patiently(async () => {
      this.meter.asks(id);
      const lease = await this.meter.time('lease_keep', () => this.leases.keep(id));
      this.meter.renewed(id, lease);
      return lease;
    });
  }

  revokeLease(id: LeaseId): Promise<void> {
    return this.patiently(async () => {
      await this.meter.time('lease_revoke', () => this.leases.revoke(id));
      this.meter.renewed(id, undefined);
    });
  }

  private rangeIn({ header, kvs }: IRangeResponse): Range & { readonly storeId: string } {
    const pairs = kvs.map((kv) => this.pair(kv)).filter((pair) => !pair.key.startsWith(tokenFolder));
    return { revision: Number(header.revision), pairs, storeId: header.cluster_id };
  }

  /** The answer, if it is no older than what was answered before it was asked for. */
  private async ascending<A extends { readonly header: EtcdHeader }>(
    operation: EtcdOperation,
    ask: () => Promise<A>,
  ): Promise<A> {
    const asked = this.ascent.height;
    const answer = await this.meter.time(operation, ask);
    this.ascent.answered(answer.header, asked);
    return answer;
  }

  private async findOut(token: Buffer, lease: LeaseId, lost: unknown): Promise<Committed> {
    const until = this.clock.monotonicMs() + this.patienceMs;
    const put = { request_put: { key: token, value: Buffer.from('refused'), lease } };
    const ask = { compare: [absent(token)], success: [put], failure: [{ request_range: { key: token } }] };
    const because = (outcome: string): MqError =>
      new MqError('UNAVAILABLE', `${this.wrong(lost).reason}; ${outcome}`, { cause: lost });
    for (;;) {
      const answer = await this.ascending('txn', () => this.client.kv.txn(ask)).catch((caught: unknown) => {
        if (!this.stopped && !isLeaseGone(caught) && this.clock.monotonicMs() < until) return undefined;
        throw because('whether the change was made is not known');
      });
      if (answer) {
        const there = answer.succeeded ? undefined : answer.responses[0]?.response_range.kvs[0];
        if (there?.value.toString() === 'applied') return { applied: true, revision: Number(there.mod_revision) };
        throw because('the change was not made');
      }
      await sleep(this.clock, pauseMs);
    }
  }

  /** For what may be asked twice. */
  private async patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = this.clock.monotonicMs() + this.patienceMs;
    for (;;) {
      try {
        if (this.stopped) throw new MqError('UNAVAILABLE', 'the metadata store is stopped');
        const answer = await ask();
        this.reach.found();
        return answer;
      } catch (caught) {
        const error = this.wrong(caught);
        if (!error.retry || this.stopped || this.clock.monotonicMs() >= until) throw error;
        await sleep(this.clock, pauseMs);
      }
    }
  }

  private wrong(caught: unknown): MqError {
    this.client.heard(caught);
    const error = etcdError(caught, this.options);
    if (error.code === 'UNAVAILABLE' && !this.stopped) this.reach.lost(error.reason);
    return error;
  }

  private async leaseForToken(): Promise<Lease> {
    const current = await this.tokenLease?.catch(() => undefined);
    const usedMs = current ? this.clock.monotonicMs() - (current.deadlineMs - current.ttlMs) : Infinity;
    if (current && usedMs < tokenLeaseUsedMsMax) return current;
    this.tokenLease = this.meter.time('lease_grant', () => this.leases.grant(tokenLeaseMs));
    return this.tokenLease;
  }

  private nextToken(): Buffer {
    this.tokens += 1;
    return this.bytes(`${tokenFolder}${this.us}/${this.tokens}`);
  }

  private bytes(key: string): Buffer {
    return Buffer.from(this.options.root + key);
  }

  /** From the prefix to the first key behind all that begin with it. */
  private bounds(prefix: string): { key: Buffer; range_end: Buffer } {
    const key = this.bytes(prefix);
    const range_end = Buffer.from(key);
    range_end[range_end.length - 1] = (range_end.at(-1) ?? 0) + 1; // Keys are ASCII: the last byte is never 255.
    return { key, range_end };
  }

  private pair(kv: IKeyValue): KeyValue {
    return {
      key: kv.key.toString().slice(this.options.root.length),
      value: kv.value.toString(),
      createRevision: Number(kv.create_revision),
      modRevision: Number(kv.mod_revision),
      ...(kv.lease !== '0' && { lease: kv.lease }),
    };
  }
}

function absent(key: Buffer): {
  key: Buffer;
  result: 'Equal';
  target: 'Mod';
  mod_revision: number;
} {
  return { key, result: 'Equal', target: 'Mod', mod_revision: 0 };
}

function equals(key: Buffer, value: Buffer): { key: Buffer; result: 'Equal'; target: 'Value'; value: Buffer } {
  return { key, result: 'Equal', target: 'Value', value };
}

function committed(answer: ITxnResponse): Committed {
  return { applied: answer.succeeded, revision: Number(answer.header.revision) };
}

/** Renewed files are used as those of servers are. */
function certificatesOf(
  { reload, clock, tell = () => undefined }: EtcdStoreOptions,
  client: EtcdClient,
): IdentityWatch | undefined {
  if (!reload) return undefined;
  const text = (bytes: Buffer | undefined): string => bytes?.toString() ?? '';
  return new IdentityWatch({
    load: () => {
      const { ca, cert, key } = reload();
      return { certPem: text(cert), keyPem: text(key), ...(ca && { caPem: text(ca) }) };
    },
    use: ({ certPem, keyPem, caPem }) => {
      const bytes = (pem: string): Buffer | undefined => (pem === '' ? undefined : Buffer.from(pem));
      client.renew({ cert: bytes(certPem), key: bytes(keyPem), ca: bytes(caPem ?? '') });
    },
    clock,
    tell: (level, said, facts) => tell(level, said, { ...facts, towards: 'etcd' }),
  });
}
