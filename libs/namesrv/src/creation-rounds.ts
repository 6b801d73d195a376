import type { Asker } from '@cometmq/client';
import type { KeyValue, MetadataStore } from '@cometmq/metadata';
import { MqError, type Clock } from '@cometmq/shared';

import type { Creation, CreationMeter } from './creation-meter.js';
import { nobodyWaits, type Decision } from './decision.js';
import type { DirectoryCopy } from './directory-copy.js';
import { keys, recordOf, type IdsRecord } from './keys.js';

export interface CreationRoundsParts {
  readonly store: Pick<MetadataStore, 'get'>;
  readonly copy: DirectoryCopy;
  readonly clock: Clock;
  readonly meter: CreationMeter;
  readonly change: <T>(decide: () => Promise<Decision<T>>) => Promise<T>;
  /** Resolves once the copy has come so far. */
  readonly settle: (revision: number) => Promise<void>;
}

/** What is to be written, or what is there already and since when. @throws MqError for why it is not made */
export type Deciding<T> = (round: Round, found: KeyValue | undefined) => T | Found<T>;

export interface Found<T> {
  readonly there: T;
  readonly seen: number;
}

interface Asked {
  readonly what: Creation;
  readonly key: string;
  readonly sinceMs: number;
  readonly asker: Asker | undefined;
  decide(round: Round, found: KeyValue | undefined): object;
  readonly made: (record: object) => void;
  readonly refused: (error: MqError) => void;
}

/** etcd takes 128 comparisons and as many writes in a transaction; some are not of topics and groups. */
const roundMax = 100;
/** Who has waited so long for its turn to make something is told so: the store must be away. */
const turnMsMax = 5_000;
/** What clients are held to elsewhere stays far below. */
const waitingMax = 10_000;

/**
 * Makes what has an id: topics and groups. The counter of ids moves on in the transaction that makes their owners, so an id is
 * never given twice; all compare that counter, so what comes while a transaction is under way waits, and goes together in
 * the next one. Each is decided, and answered, for itself.
 */
export class CreationRounds {
  private waiting: Asked[] = [];
  private working = false;

  constructor(private readonly parts: CreationRoundsParts) {}

  make<T extends object>(what: Creation, key: string, decide: Deciding<T>, asker?: Asker): Promise<T> {
    const { clock, meter } = this.parts;
    if (this.waiting.length >= waitingMax) {
      const why = `${waitingMax} topics and consumer groups wait to be made, as many as may be; try again`;
      return Promise.reject(new MqError('TOO_MANY_REQUESTS', why));
    }
    const sinceMs = clock.monotonicMs();
    return new Promise<T>((resolve, reject) => {
      const done = (isMade: boolean): void => meter.done(what, isMade, clock.monotonicMs() - sinceMs);
      this.waiting.push({
        ...{ what, key, sinceMs, decide, asker },
        made: (record) => {
          done(true);
          resolve(record as T);
        },
        refused: (error) => {
          done(false);
          reject(error);
        },
      });
      if (!this.working) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.working = true;
    await Promise.resolve(); // What comes together goes together.
    while (this.waiting.length > 0) {
      const open = new Set(this.next());
      await this.parts
        .change(() => this.decided(open))
        .then(
          (made) => {
            for (const [asked, record] of made) asked.made(record);
          },
          (caught: unknown) => {
            for (const asked of open) asked.refused(MqError.from(caught));
          },
        );
    }
    this.working = false;
  }

  /** Those who go together: of each name one, as the next has to see what became of it. */
  private next(): Asked[] {
    const nowMs = this.parts.clock.monotonicMs();
    const taken = new Map<string, Asked>();
    const left: Asked[] = [];
    for (const asked of this.waiting) {
      if (nowMs - asked.sinceMs > turnMsMax) {
        asked.refused(new MqError('UNAVAILABLE', 'the metadata takes no changes now; try again'));
      } else if (taken.size < roundMax && !taken.has(asked.key)) taken.set(asked.key, asked);
      else left.push(asked);
    }
    this.waiting = left;
    return [...taken.values()];
  }

  /** Takes those out of `open` who are not waiting for what is written. */
  private async decided(open: Set<Asked>): Promise<Decision<ReadonlyMap<Asked, object>>> {
    const { store, copy, settle } = this.parts;
    const made = new Map<Asked, object>();
    const asking = [...open];
    if (asking.length === 0) return { result: made };
    const [counter, ...found] = await Promise.all([
      store.get(keys.ids),
      ...asking.map(async (asked) => ({ asked, found: await store.get(asked.key) })),
    ]);
    // What others have made counts towards what may be made.
    await settle(counter?.modRevision ?? 0);
    const round = new Round(idsIn(counter, copy), copy);
    for (const { asked, found: pair } of found) {
      try {
        if (asked.asker?.cancelled) throw nobodyWaits();
        const decision = asked.decide(round, pair);
        if (isFound(decision)) {
          open.delete(asked);
          settle(decision.seen).then(
            () => asked.made(decision.there),
            (caught: unknown) => asked.refused(MqError.from(caught)),
          );
        } else {
          round.makes(asked.what);
          made.set(asked, decision);
        }
      } catch (caught) {
        open.delete(asked);
        asked.refused(MqError.from(caught));
      }
    }
    if (made.size === 0) return { result: made };
    return {
      result: made,
      write: {
        compare: [
          ...[...made.keys()].map(({ key }) => ({ key, modRevision: 0 })),
          { key: keys.ids, modRevision: counter?.modRevision ?? 0 },
        ],
        puts: [
          ...[...made].map(([{ key }, record]) => ({ key, value: JSON.stringify(record) })),
          { key: keys.ids, value: JSON.stringify(round.ids) },
        ],
      },
    };
  }
}

/** Those that are made together: the counters, moved on (the first id is 1), and how many there will be. */
export class Round {
  private topics: number;
  private groups: number;
  private readonly making = { topics: 0, groups: 0 };

  constructor(
    { topics, groups }: IdsRecord,
    private readonly copy: Pick<DirectoryCopy, 'count'>,
  ) {
    this.topics = topics;
    this.groups = groups;
  }

  nextTopic(): number {
    return (this.topics += 1);
  }

  nextGroup(): number {
    return (this.groups += 1);
  }

  /** How many there are, with those of this round; dead letters aside. */
  count(kind: 'topics' | 'groups'): number {
    return this.copy.count(kind) + this.making[kind];
  }

  makes(what: Creation): void {
    if (what === 'topic') this.making.topics += 1;
    if (what === 'group') this.making.groups += 1;
  }

  get ids(): IdsRecord {
    return { topics: this.topics, groups: this.groups };
  }
}

function isFound(decision: object): decision is Found<object> {
  return 'there' in decision;
}

/** @throws MqError METADATA_MISMATCH where nobody knows any more which ids were given: one given twice mixes two logs */
function idsIn(counter: KeyValue | undefined, copy: DirectoryCopy): IdsRecord {
  const record = recordOf<IdsRecord>(counter);
  if (record) return record;
  if (!counter && !copy.hasIds) return { topics: 0, groups: 0 };
  copy.ours(); // A store that was emptied or replaced has lost more than that.
  throw new MqError(
    'METADATA_MISMATCH',
    `the metadata store ${counter ? 'has something else' : 'has nothing'} under "${keys.ids}", where the ids that were given are ` +
      'counted: nothing is made until brokers have said what their logs know (comet cluster adopt)',
  );
}
