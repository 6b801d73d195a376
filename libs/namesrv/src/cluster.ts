import type { Committed, KeyValue, MetadataStore, Transaction } from '@cometmq/metadata';
import { followsMetadata, type MetadataVersion } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { keys, recordOf, type LineageRecord } from './keys.js';

/** What a claim says of the claimant's log. */
export interface Claimant {
  readonly member: string;
  readonly log?: { readonly epoch: number; readonly metadata?: MetadataVersion | undefined } | undefined;
}

/** Which cluster a store holds the metadata of, and how far it has come. */
export interface Identity {
  readonly version: MetadataVersion;
  readonly lineage: LineageRecord;
  readonly pairs: { readonly clusterId: KeyValue; readonly lineage: KeyValue | undefined };
}

export const firstLineage: LineageRecord = { generation: 1, replaced: [] };

/** Undefined: the store is empty, or not ours. */
export async function identityIn(store: Pick<MetadataStore, 'range'>): Promise<Identity | undefined> {
  const { revision, pairs } = await store.range(keys.cluster);
  const clusterId = pairs.find(({ key }) => key === keys.clusterId);
  const pair = pairs.find(({ key }) => key === keys.lineage);
  if (!clusterId) return undefined;
  const lineage = recordOf<LineageRecord>(pair) ?? firstLineage;
  const version = { clusterId: clusterId.value, generation: lineage.generation, revision };
  return { version, lineage, pairs: { clusterId, lineage: pair } };
}

/**
 * The store as this instance may change it: each change compares the cluster's id, so that none is ever written to
 * another store that stands where ours stood, emptied or restored.
 */
export class ClusterStore {
  constructor(
    private readonly store: MetadataStore,
    /** As it is known here. @throws MqError UNAVAILABLE while nothing may be changed */
    private readonly clusterId: () => string,
  ) {}

  readonly get: MetadataStore['get'] = (key) => this.store.get(key);
  readonly range: MetadataStore['range'] = (prefix) => this.store.range(prefix);
  readonly grantLease: MetadataStore['grantLease'] = (ttlMs) => this.store.grantLease(ttlMs);
  readonly keepLease: MetadataStore['keepLease'] = (id) => this.store.keepLease(id);
  readonly revokeLease: MetadataStore['revokeLease'] = (id) => this.store.revokeLease(id);

  async commit(transaction: Transaction): Promise<Committed> {
    const clusterId = this.clusterId();
    const compare = [...transaction.compare, { key: keys.clusterId, value: clusterId }];
    const change = await this.store.commit({ ...transaction, compare });
    if (change.applied) return change;
    const found = await this.store.get(keys.clusterId);
    if (found?.value === clusterId) return change;
    throw new MqError(
      'UNAVAILABLE',
      `the metadata store holds ${found ? `cluster ${found.value}` : 'nothing'} where cluster ${clusterId} was: it was ` +
        'emptied, replaced or restored, and nothing is changed in it',
    );
  }
}

const wayOut =
  'Connect to the right metadata, or bring its newest backup back. If what is missing is lost for good, let brokers ' +
  'bring back what their logs know: comet cluster adopt (npm start, npm run cluster: once with --adopt-metadata)';

/**
 * Why a broker whose log is not empty may not act under this metadata; undefined: it may. Nothing has been written by then.
 */
export function mismatchOf(
  name: string,
  { member, log }: Claimant,
  { version }: Identity,
  set: { readonly epoch: number } | undefined,
): MqError | undefined {
  const found = `this metadata is of cluster ${version.clusterId}, generation ${version.generation}, revision ${version.revision}`;
  if (log?.metadata && !followsMetadata(version, log.metadata)) {
    const { clusterId, generation, revision } = log.metadata;
    const what =
      clusterId === version.clusterId
        ? `has seen generation ${generation}, revision ${revision} of it: it is older, probably restored from a backup`
        : `belongs to cluster ${clusterId}: it is another one, or was emptied`;
    return mismatch(`${found}, and the log of ${member} ${what}`);
  }
  if (!log || log.epoch === 0) return undefined;
  if (!set) {
    return mismatch(`${found}, which does not know broker set ${name}, while the log of ${member} is not empty`);
  }
  if (set.epoch < log.epoch) {
    const older = `${found}, which knows epoch ${set.epoch} of broker set ${name}`;
    return mismatch(`${older}, and the log of ${member} has epoch ${log.epoch}: it is older, or was emptied`);
  }
  return undefined;
}

export function mismatch(why: string): MqError {
  return new MqError('METADATA_MISMATCH', `${why}. Nothing was changed. ${wayOut}`);
}
