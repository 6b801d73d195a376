import type { KnownTerm, MemberClaim, MetadataKnowledge, NameService } from '@cometmq/client';
import { failureFacts, MqError } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** Definitions in one part of what is brought. */
const definitionsMax = 200;

/** What the log knows of the metadata, asked for whenever it matters. */
export interface LogKnowledge {
  /** Why the metadata that is told can't be the log's own; undefined: it may be. */
  contradiction(): string | undefined;
  /** All that the log knows, for metadata that was lost. */
  all(): Omit<MetadataKnowledge, 'claim' | 'set' | 'insist' | 'last'>;
}

export interface AdoptionParts {
  readonly nameService: NameService;
  readonly log: Logger;
  readonly knowledge: LogKnowledge;
  readonly claim: () => MemberClaim;
  /** Under what this member last acted. */
  readonly set: () => KnownTerm | undefined;
  /** The operator has told this broker itself to bring its metadata, or to restore a backup, which has it. */
  readonly adopts: () => boolean;
  /** And to lead without the messages that this broker's data folder lacks. */
  readonly forgets: boolean;
}

/**
 * Metadata that is not the log's own (another cluster's, empty, or older than the log) neither gives nor ends a term: at the
 * start it is refused before anything is written; a leader goes on, says so, and waits for its own to come back. Once an
 * operator has allowed it, it gets what the log knows.
 */
export class Adoption {
  /** Why the metadata is not the log's own, as it was said last; undefined: it is. */
  mismatch: string | undefined;
  private forgets: boolean;

  constructor(private readonly parts: AdoptionParts) {
    this.forgets = parts.forgets;
  }

  /** @throws MqError METADATA_MISMATCH */
  check(): void {
    const contradiction = this.parts.knowledge.contradiction();
    if (contradiction !== undefined) throw new MqError('METADATA_MISMATCH', `${contradiction}. ${wayOut}`);
  }

  /** @returns whether the reason for the refusal is gone, since an operator has allowed what takes it away */
  async settles(error: MqError): Promise<boolean> {
    if (error.code === 'METADATA_MISMATCH') return this.bring(error);
    if (error.code === 'DATA_FOLDER') return this.forget(error);
    return false;
  }

  /** A leader was told so; it goes on. */
  async mismatched(error: MqError): Promise<void> {
    const { log } = this.parts;
    try {
      if (await this.bring(error)) return;
    } catch (caught) {
      log.warn(failureFacts(caught), 'the metadata could not be brought back; trying again');
    }
    if (this.mismatch !== undefined) return; // Once is enough, until it is over.
    this.mismatch = error.reason;
    log.error({ reason: error.reason }, 'the metadata is not the one that this log belongs to; serving goes on');
  }

  /** Once: what was given up is no reason any more. */
  private async forget(why: MqError): Promise<boolean> {
    const { nameService, claim, log } = this.parts;
    if (!this.forgets) return false;
    await nameService.forgetMembers(claim().brokerSet);
    this.forgets = false;
    log.warn({ reason: why.reason }, 'the messages that are missing in the data folder were given up');
    return true;
  }

  /** What this member knows of who led its set, for metadata that another one brings back. Refused while nobody has allowed that. */
  async sayWord(): Promise<void> {
    const { nameService, knowledge, claim } = this.parts;
    const set = this.parts.set();
    if (!set) return;
    const { topicIdMax, groupIdMax } = knowledge.all();
    const none = { topics: [], groups: [], deletedTopics: [], deletedGroups: [], insist: false };
    await nameService.adoptMetadata({ ...none, topicIdMax, groupIdMax, claim: claim(), set, last: true });
  }

  /** @returns whether what the log knows was brought into the metadata. False: no operator has allowed it. */
  private async bring(why: MqError): Promise<boolean> {
    const { nameService, knowledge, claim, log } = this.parts;
    const adopts = this.parts.adopts();
    const { topics, groups, deletedTopics, deletedGroups, ...ids } = knowledge.all();
    const none = { topics: [], groups: [], deletedTopics: [], deletedGroups: [] };
    const parts: Pick<MetadataKnowledge, keyof typeof none>[] = [];
    for (const some of slices(topics)) parts.push({ ...none, topics: some });
    for (const some of slices(groups)) parts.push({ ...none, groups: some });
    for (const some of slices(deletedTopics)) parts.push({ ...none, deletedTopics: some });
    for (const some of slices(deletedGroups)) parts.push({ ...none, deletedGroups: some });
    if (parts.length === 0) parts.push(none);
    const base = { ...ids, claim: claim(), set: this.parts.set(), insist: adopts };
    try {
      for (const [i, part] of parts.entries()) {
        await nameService.adoptMetadata({ ...base, ...part, last: i === parts.length - 1 });
      }
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code !== 'METADATA_MISMATCH') throw error;
      if (adopts) log.error({ reason: error.reason }, 'the metadata can not be brought back here');
      return false;
    }
    log.warn(
      { reason: why.reason, topics: topics.length, groups: groups.length },
      'the metadata that this log knows was brought back',
    );
    return true;
  }
}

const wayOut =
  'Nothing was changed. Bring the newest backup of the metadata back; or, if there is none, let brokers bring what their ' +
  'logs know: comet cluster adopt (npm start, npm run cluster: once with --adopt-metadata)';

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += definitionsMax) yield all.slice(from, from + definitionsMax);
}
