import type { KnownSet, KnownTerm, SetReading } from '@cometmq/client';
import type { Epoch, Promised, SetState } from '@cometmq/model';
import { assert } from '@cometmq/shared';
import type { StorePorts, TermNote } from '@cometmq/store';

/** What a member keeps on its disk of terms: whom it has promised one, and under which it last acted. */
export class TermNotes {
  private note: TermNote = {};
  private latest: Promised = { epoch: 0 as Epoch, to: undefined };

  constructor(private readonly store: StorePorts) {}

  read(): void {
    this.note = this.store.term.read();
    this.latest = this.note.promised ?? this.latest;
  }

  get promised(): Promised {
    return this.latest;
  }
  get state(): SetState | undefined {
    return this.note.state;
  }
  get acted(): KnownSet | undefined {
    return this.note.acted;
  }
  /** Under what it last acted, and what it has promised. */
  get lastTerm(): KnownTerm | undefined {
    const { state } = this.note;
    return state && { state, promised: this.latest };
  }

  /** Decided at once; durable when it resolves. */
  promise(promise: Promised): Promise<void> {
    assert(promise.epoch >= this.latest.epoch, 'promises only rise');
    this.latest = promise;
    return this.write({ promised: promise });
  }

  /** Under what this member acts from now on; undefined: it is noted already. */
  actUnder({ storeId, generation }: SetReading, set: SetState): Promise<void> | undefined {
    const { acted } = this.note;
    const { revision, epoch, ...rule } = set;
    const isNew = acted?.storeId !== storeId || acted.revision !== revision || acted.generation !== generation;
    if (!isNew) return undefined;
    return this.write({ acted: { storeId, generation, revision, epoch }, state: { ...rule, revision, epoch } });
  }

  private write(part: TermNote): Promise<void> {
    this.note = { ...this.note, ...part };
    return this.store.term.write(this.note);
  }
}
