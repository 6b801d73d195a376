/**
 * How the files of a log are taken up, and given back: at the start, and when a snapshot of another member has come in
 * their place. What is behind the end is zeroed and synced before anything new is written. Safe to break off and repeat
 * at any point.
 */
import { epoch as toEpoch, logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';

import type { LogIntake } from './log-intake.js';
import type { LogParts } from './log-parts.js';
import { clearBehind, findEnd } from './recovery.js';
import type { DurableMark, FoundEnd } from './recovery.js';

/** As what the files of a log are taken up. */
export interface Reloaded {
  /** Up to where a checkpoint knows it to be durable. */
  readonly mark: DurableMark | undefined;
  /** What its checksums begin from. */
  readonly salt: number;
  /** All below it is known to be committed. */
  readonly committed: LogPosition;
  /** Where else segments are known to begin. */
  readonly known?: ReadonlySet<number> | undefined;
}

export class LogOpening {
  private opened = false;

  constructor(
    private readonly parts: LogParts,
    private readonly intake: LogIntake,
  ) {}

  /** See `CommitLog.open`. */
  async open({ mark, ...rest }: Omit<Reloaded, 'committed'>, giveUp: boolean): Promise<void> {
    assert(!this.opened, 'a log is opened once');
    this.opened = true;
    const { end, committed } = await this.enter({ mark, ...rest }, giveUp).catch(async (caught: unknown) => {
      await this.unopen();
      throw caught;
    });
    this.parts.ends.open(end, logPosition(Math.max(committed, mark?.position ?? 0)));
    await this.parts.writer.begin();
  }

  /** See `CommitLog.reload`. */
  async reload(swap: () => Promise<Reloaded>): Promise<Reloaded> {
    const { writer, durableNote, segments, reader, ends } = this.parts;
    let reloaded: Reloaded | undefined;
    await writer.whileStill(async () => {
      await durableNote.close();
      for (const segment of segments.all) reader.forget(segment);
      await this.forgetSegments();
      this.parts.cache.cut(0);
      reloaded = await swap();
      const { end } = await this.enter(reloaded, false);
      assert(end >= ends.committed, 'what is committed stays');
      const why = new MqError('UNAVAILABLE', 'the log was replaced by a snapshot of another member');
      ends.reopen(end, reloaded.committed, why);
    });
    assert(reloaded !== undefined, 'the log has been replaced');
    return reloaded;
  }

  /** Lets what was appended become durable, then gives the files back. */
  async close(): Promise<void> {
    const { writer, ends, durableNote, segments } = this.parts;
    await writer.end();
    if (this.opened && !ends.failure) await durableNote.settle(ends.durable);
    await durableNote.close();
    await segments.close();
    ends.close(new MqError('UNAVAILABLE', 'this broker is stopping'));
  }

  /** What was found is forgotten: once somebody has mended it the log can be opened again. */
  private async unopen(): Promise<void> {
    await this.parts.durableNote.close();
    await this.forgetSegments();
    this.opened = false;
  }

  private async forgetSegments(): Promise<void> {
    const { segments, walk, epochs } = this.parts;
    await segments.close();
    segments.clear();
    walk.checked.from = walk.checked.to = 0;
    epochs.cut(logPosition(0));
  }

  /** Takes up the files that are there. Answers where the log ends, and what of it is known to be committed. */
  private async enter(
    { mark, salt, known }: Omit<Reloaded, 'committed'>,
    giveUp: boolean,
  ): Promise<Pick<FoundEnd, 'end' | 'committed'>> {
    const { segments, walk, epochs, gathering, durableNote, events } = this.parts;
    const { disk, folder } = segments;
    walk.salt = gathering.salt = salt;
    await disk.makeFolder(folder);
    await segments.open(known, giveUp);
    epochs.cut(mark?.position ?? logPosition(0)); // What lies behind is found again, if it is still there.
    await durableNote.open();
    const synced = { end: durableNote.end, path: disk.realPath(durableNote.path) };
    const { end, found, committed, damaged } = await findEnd(segments, walk, epochs, mark, synced, giveUp);
    for (const { segment, bytes } of await segments.cutSurplus()) {
      events.onTailCut?.({ from: segment.end, bytes, found: `the end of a sealed segment (${segment.path})` });
    }
    if (damaged) await segments.beginBehind(end);
    this.intake.epoch = toEpoch(Math.max(epochs.last, mark?.epoch ?? 0));
    const { active } = segments;
    const cut = await active.use((file) => clearBehind(file, end - active.first, active.fileBytes));
    if (cut > 0) events.onTailCut?.({ from: end, bytes: cut, found });
    // What was found may have been written but never synced, and a name may never have reached its folder.
    await active.use((file) => file.sync());
    await disk.syncFolder(folder);
    await segments.settleGaps();
    active.end = end;
    gathering.open(end, active.first);
    return { end, committed };
  }
}
