import type { KnownSet, KnownTerm, SetReading } from '@cometmq/client';
import type { Epoch, Promised, SetState } from '@cometmq/model';
import { assert } from '@cometmq/shared';
import type { StorePorts, TermNote } from '@cometmq/store';

const nobody: Promised = { epoch: 0 as Epoch, to: undefined };

/**
 * What a member keeps on its disk of terms: whom it has promised one, and under which it last acted. What is decided holds
 * at once; what then could not be written was not decided, so that it is asked for again, and written then.
 */
export class TermNotes {
  private note: TermNote = {};
  /** Writes under way: each has all that was decided before it. */
  private writing = 0;

  constructor(private readonly store: StorePorts) {}

  read(): void {
    this.note = this.store.term.read();
  }

  get promised(): Promised {
    return this.note.promised ?? nobody;
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
    return state && { state, promised: this.promised };
  }

  /** Decided at once; durable when it resolves. */
  promise(promise: Promised): Promise<void> {
    assert(promise.epoch >= this.promised.epoch, 'promises only rise');
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

  /** As `actUnder`, of what this member itself has written to the registry under which it acted. */
  async actUnderChange(state: SetState): Promise<void> {
    const { acted } = this.note;
    if (acted) await this.write({ acted: { ...acted, revision: state.revision, epoch: state.epoch }, state });
  }

  private async write(part: TermNote): Promise<void> {
    this.note = { ...this.note, ...part };
    this.writing += 1;
    try {
      await this.store.term.write(this.note);
    } finally {
      this.writing -= 1;
      if (this.writing === 0) this.note = this.store.term.read();
    }
  }
}
