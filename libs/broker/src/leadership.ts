import type { LeadershipClaim, MetadataKnowledge, NameService } from '@cometmq/client';
import { epoch, type Epoch } from '@cometmq/model';
import { type Clock, failureFacts, MqError } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** What the log knows of the metadata, asked for whenever it matters. */
export interface LogKnowledge {
  /** What goes with each claim; undefined: the log is empty. */
  claim(): LeadershipClaim['log'];
  /** Why the metadata that is told can't be the log's own; undefined: it may be. */
  contradiction(): string | undefined;
  /** All that the log knows, for metadata that was lost. */
  all(): Omit<MetadataKnowledge, 'claim' | 'insist' | 'last'>;
}

/** Definitions in one part of what is brought. */
const definitionsMax = 200;

/**
 * This broker's term over its set: claimed from the name service with a new epoch, kept by saying so three times a
 * lease. The lease only notices silence; safety comes from the epoch. When another member has taken over, `onDeposed`
 * is called and the term is over for good.
 *
 * Metadata that is not the log's own (another cluster's, empty, or older than the log) neither gives nor ends a term: at
 * the start it is refused before anything is written; a leader goes on, says so, and waits for its own to come back.
 * Once an operator has allowed it, it gets what the log knows.
 */
export class Leadership {
  private claim: LeadershipClaim | undefined;
  private term: Epoch | undefined;
  private stopped = false;
  /** Why the metadata is not the log's own, as it was said last; undefined: it is. */
  mismatch: string | undefined;
  private wake: (() => void) | undefined;
  private keeping: Promise<void> | undefined;

  constructor(
    private readonly nameService: NameService,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly writable: () => boolean,
    private readonly onDeposed: (error: MqError) => void,
    private readonly knowledge: LogKnowledge,
    /** The operator has told this broker itself to bring its metadata. */
    private readonly adopts: boolean,
    /** And to lead without the messages that this broker's data folder lacks. */
    private forgets: boolean,
  ) {}

  /** Claims the lead, waiting as long as the name service can't be reached or another member still lives. */
  async take(claim: LeadershipClaim): Promise<Epoch> {
    this.claim = claim;
    for (;;) {
      if (this.stopped) throw new MqError('CANCELLED', 'stopped before the lead was taken');
      try {
        const contradiction = this.knowledge.contradiction();
        if (contradiction !== undefined) throw new MqError('METADATA_MISMATCH', `${contradiction}. ${wayOut}`);
        const set = await this.nameService.acquireLeadership(this.withLog(claim));
        this.term = epoch(set.epoch);
        return this.term;
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code === 'METADATA_MISMATCH' && (await this.bring(claim, error))) continue;
        if (error.code === 'DATA_FOLDER' && (await this.forget(claim, error))) continue;
        if (!error.retry) throw error;
        this.log.warn(failureFacts(error), 'the lead can not be taken yet; trying again');
        await this.pause(500);
      }
    }
  }

  /** From now on the name service hears of this leader. */
  keep(): void {
    this.keeping = this.loop();
  }

  async leave(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    await this.keeping;
    if (!this.claim || this.term === undefined) return;
    await this.nameService.resignLeadership({ ...this.claim, epoch: this.term }).catch((caught: unknown) => {
      this.log.warn(failureFacts(caught), 'the name service could not be told that the broker leaves');
    });
  }

  private async loop(): Promise<void> {
    const { claim, term } = this;
    if (!claim || term === undefined) return;
    while (!this.stopped) {
      try {
        await this.nameService.renewLeadership({ ...this.withLog(claim), epoch: term, writable: this.writable() });
        this.mismatch = undefined;
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code === 'NOT_LEADER') {
          this.onDeposed(error);
          return;
        }
        if (error.code === 'METADATA_MISMATCH') await this.mismatched(claim, error);
        else this.log.warn(failureFacts(error), 'the name service does not answer; serving goes on');
      }
      await this.pause(claim.leaseMs / 3);
    }
  }

  /** Once: what was given up is no reason any more. */
  private async forget({ name }: LeadershipClaim, why: MqError): Promise<boolean> {
    if (!this.forgets) return false;
    await this.nameService.forgetMembers(name);
    this.forgets = false;
    this.log.warn({ reason: why.reason }, 'the messages that are missing in the data folder were given up');
    return true;
  }

  private async mismatched(claim: LeadershipClaim, error: MqError): Promise<void> {
    try {
      if (await this.bring(claim, error)) return;
    } catch (caught) {
      this.log.warn(failureFacts(caught), 'the metadata could not be brought back; trying again');
    }
    if (this.mismatch !== undefined) return; // Once is enough, until it is over.
    this.mismatch = error.reason;
    this.log.error({ reason: error.reason }, 'the metadata is not the one that this log belongs to; serving goes on');
  }

  /** @returns whether what the log knows was brought into the metadata. False: no operator has allowed it. */
  private async bring(claim: LeadershipClaim, why: MqError): Promise<boolean> {
    const { topics, groups, deletedTopics, deletedGroups, ...ids } = this.knowledge.all();
    const none = { topics: [], groups: [], deletedTopics: [], deletedGroups: [] };
    const parts: Pick<MetadataKnowledge, keyof typeof none>[] = [];
    for (const some of slices(topics)) parts.push({ ...none, topics: some });
    for (const some of slices(groups)) parts.push({ ...none, groups: some });
    for (const some of slices(deletedTopics)) parts.push({ ...none, deletedTopics: some });
    for (const some of slices(deletedGroups)) parts.push({ ...none, deletedGroups: some });
    if (parts.length === 0) parts.push(none);
    const base = { ...ids, claim: this.withLog(claim), insist: this.adopts };
    try {
      for (const [i, part] of parts.entries()) {
        await this.nameService.adoptMetadata({ ...base, ...part, last: i === parts.length - 1 });
      }
    } catch (caught) {
      const error = MqError.from(caught);
      if (error.code !== 'METADATA_MISMATCH') throw error;
      if (this.adopts) this.log.error({ reason: error.reason }, 'the metadata can not be brought back here');
      return false;
    }
    this.log.warn(
      { reason: why.reason, topics: topics.length, groups: groups.length },
      'the metadata that this log knows was brought back',
    );
    return true;
  }

  private withLog(claim: LeadershipClaim): LeadershipClaim {
    const log = this.knowledge.claim();
    return log ? { ...claim, log } : claim;
  }

  /** Waits, but not past a stop. */
  private pause(waitMs: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, resolve);
      this.wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

const wayOut =
  'Nothing was changed. Bring the newest backup of the metadata back; or, if there is none, let brokers bring what their ' +
  'logs know: comet cluster adopt (npm start, npm run cluster: once with --adopt-metadata)';

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += definitionsMax) yield all.slice(from, from + definitionsMax);
}
