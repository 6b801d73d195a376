/**
 * A scripted life of a log on a disk whose power is cut before every single operation, many times over: each time with
 * another part of the unsynced bytes left. What comes out is a list of broken promises.
 *
 * The promises: what was acknowledged is there, in order, byte for byte; whatever else is there was appended, in order;
 * opening never fails; opening again, and opening after a power cut during the opening, finds the same; the log goes on.
 */
import { epoch, logPosition } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';

import type { MemoryDisk } from '../disk/memory-disk.js';
import type { DurableMark } from './commit-log.js';
import { durably, numbered, openLog, randomBytes, readAll } from './log-harness.js';
import type { told } from './log-harness.js';

export interface CrashStory {
  readonly seed: number;
  readonly newDisk: () => MemoryDisk;
  readonly records: number;
  /** Of each moment that is tried, how many power cuts. */
  readonly cutsPerMoment: number;
  /** The chance that a moment is tried. */
  readonly tried: number;
}

export interface CrashFigures {
  moments: number;
  cuts: number;
  cutsWhileOpening: number;
  readonly broken: string[];
}

type Told = ReturnType<typeof told>;

export async function playCrashStory(story: CrashStory): Promise<CrashFigures> {
  const chance = new Prng(story.seed);
  const figures: CrashFigures = { moments: 0, cuts: 0, cutsWhileOpening: 0, broken: [] };
  const disk = story.newDisk();
  const sent: Told[] = [];
  let acked = 0;
  let mark: DurableMark | undefined;
  const checks: Promise<void>[] = [];
  const { log } = await openLog(disk);
  disk.watcher = ({ kind, path }) => {
    if (!chance.chance(story.tried)) return;
    figures.moments += 1;
    for (let i = 0; i < story.cutsPerMoment; i += 1) {
      const left = disk.crash(chance, {}, true);
      const facts = { sent: [...sent], acked, mark: chance.chance(0.5) ? mark : undefined };
      checks.push(check(left, facts, new Prng(chance.below(2 ** 31)), `before ${kind} ${path}`, figures));
    }
  };
  for (let n = 0; n < story.records; n += 1) {
    if (chance.chance(0.03)) log.setEpoch(epoch(log.epoch + 1 + chance.below(3)));
    const draft = numbered(n, randomBytes(chance));
    const { position, size } = log.append(draft);
    sent.push({ n, position, payload: Buffer.concat(draft.payload).toString('latin1') });
    log.whenDurable(logPosition(position + size), () => (acked = n + 1));
    if (chance.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
    if (chance.chance(0.05)) mark = { position: log.durableEnd, epoch: log.epoch };
    // The cuts are tried as they come, so that not all of them are in memory at once.
    if (checks.length > 64) await Promise.all(checks.splice(0));
  }
  await log.close();
  disk.watcher = undefined;
  await Promise.all(checks);
  return figures;
}

async function check(
  disk: MemoryDisk,
  facts: { sent: readonly Told[]; acked: number; mark: DurableMark | undefined },
  chance: Prng,
  when: string,
  figures: CrashFigures,
): Promise<void> {
  figures.cuts += 1;
  const tell = (what: string): void => void figures.broken.push(`${when}: ${what}`);
  try {
    // The power is cut again somewhere in the opening, perhaps more than once.
    const first = await cutWhileOpening(disk, facts.mark, chance, figures);
    const { log } = await openLog(first, facts.mark);
    const found = await readAll(log, logPosition(0));
    if (found.length < facts.acked) tell(`${facts.acked} acknowledged, ${found.length} found`);
    for (const [i, record] of found.entries()) {
      const wanted = facts.sent[i];
      if (record.n !== wanted?.n || record.position !== wanted.position || record.payload !== wanted.payload) {
        tell(`record ${i} is another`);
        break;
      }
    }
    log.setEpoch(epoch(log.epoch + 1));
    const { position, size } = await durably(log, numbered(4_000_000));
    const read = await log.read(position, size);
    if (Buffer.from(read.payload).readUInt32LE(0) !== 4_000_000) tell('the log does not go on');
    const again = await openLog(first.crash(chance, { survives: 0 }), facts.mark);
    const after = await readAll(again.log, logPosition(0));
    if (after.length !== found.length + 1) tell(`${found.length + 1} records before, ${after.length} afterwards`);
  } catch (caught) {
    tell(MqError.from(caught).message);
  }
}

async function cutWhileOpening(
  disk: MemoryDisk,
  mark: DurableMark | undefined,
  chance: Prng,
  figures: CrashFigures,
): Promise<MemoryDisk> {
  let left = disk;
  for (let round = 0; round < 2; round += 1) {
    let operations = chance.below(6);
    let crashed: MemoryDisk | undefined;
    const trying = left;
    trying.watcher = () => {
      operations -= 1;
      if (operations < 0) crashed ??= trying.crash(chance);
    };
    await openLog(trying, mark).catch((caught: unknown) => {
      if (!crashed) throw caught;
    });
    trying.watcher = undefined;
    figures.cutsWhileOpening += crashed ? 1 : 0;
    left = crashed ?? trying.crash(chance);
  }
  return left;
}
