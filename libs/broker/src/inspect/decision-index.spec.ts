// Goal: every record that decides something is in the index, once, however it came to know of it, and only such records are
// read while the fold notes them. Method: a log by chance whose fold runs ahead of the commit or behind it and is thrown away
// now and then, few notes at a time, small pieces; the index is asked for every record, and counts what it reads.
import { encodeGroupDeleted } from '@cometmq/consumption';
import { encodeDropped, RecordKind, type GroupId, type LogPosition, type TopicId } from '@cometmq/model';
import { MqError, Pacing, Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';
import { RecordNotes, replaceFile, type Damage, type Disk, type LogRecord } from '@cometmq/store';
import { faultyDisk, MemoryDisk } from '@cometmq/store/testing';
import { silentLogger, type Logger } from '@cometmq/telemetry';

import { Subject } from './decision-entries.js';
import { DecisionIndex } from './decision-index.js';

class FakeLog {
  readonly all: LogRecord[] = [];
  notes = new RecordNotes([]);
  commitEnd = 0 as LogPosition;
  firstPosition = 0 as LogPosition;
  bytesRead = 0;
  /** Records that can't be read. */
  readonly bad = new Set<LogPosition>();
  readonly givenUp: Damage[] = [];
  readonly damage = {
    all: [] as Damage[],
    isGivenUp: (position: LogPosition) => this.givenUp.some(({ first }) => first === position),
  };
  private folded = 0;

  constructor(private readonly notesMax: number) {}

  get end(): LogPosition {
    const last = this.all.at(-1);
    return (last ? last.position + last.size : 0) as LogPosition;
  }

  append(kind: RecordKind, payload: Uint8Array, size: number): void {
    this.all.push({ kind, payload, position: this.end, size } as LogRecord);
  }

  /** Folds up to this many records. */
  fold(count: number): void {
    for (const { kind, position, size } of this.all.slice(this.folded, this.folded + count)) {
      this.notes.note(kind, position, size);
      this.folded += 1;
    }
  }

  foldAnew(from: number): void {
    this.notes.clear();
    this.folded = Math.min(from, this.folded);
    this.notes.begin(this.all[this.folded]?.position ?? this.end);
  }

  noteKinds(kinds: Iterable<RecordKind>): RecordNotes {
    this.notes = new RecordNotes(kinds, this.notesMax);
    this.notes.begin(this.all[this.folded]?.position ?? this.end);
    return this.notes;
  }

  async records(
    from: LogPosition,
    each: (record: LogRecord) => void,
    until: LogPosition,
    lost: (from: LogPosition, to: LogPosition) => void,
  ): Promise<LogPosition> {
    await Promise.resolve();
    const begin = this.all.findIndex(({ position }) => position === from);
    if (begin < 0) throw new Error(`no record begins at ${from}`);
    let at: number = from;
    for (const record of this.all.slice(begin)) {
      if (record.position >= Math.min(until, this.commitEnd)) break;
      at = record.position + record.size;
      if (this.bad.has(record.position)) {
        const damage = { first: record.position, end: at, what: 'bad' };
        const isKnown = [...this.damage.all, ...this.givenUp].some(({ first }) => first === record.position);
        if (!isKnown) this.damage.all.push(damage);
        lost(record.position, at as LogPosition);
        continue;
      }
      each(record);
      this.bytesRead += record.size;
    }
    return at as LogPosition;
  }

  readonly readRecords = () => Promise.reject(new Error('nobody reads so'));
}

async function indexOf(
  log: FakeLog,
  disk: Disk = new MemoryDisk(),
  { clock = new ManualClock(), logger = silentLogger }: { clock?: ManualClock; logger?: Logger } = {},
): Promise<DecisionIndex> {
  const index = new DecisionIndex(log, disk, 'data', { clock, pacing: new Pacing(clock) }, logger, 400_000);
  await index.start();
  return index;
}

/** Runs the index while `meanwhile` has its turns. */
async function follow(index: DecisionIndex, meanwhile: () => void): Promise<void> {
  const followed = index.follow();
  for (let turn = 0; turn < 5; turn += 1) {
    meanwhile();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await followed;
}

async function foundOf(index: DecisionIndex, group: number): Promise<number[]> {
  const found: number[] = [];
  await index.find({ topic: Subject.group, queue: group, offset: 0, after: 0 }, (position) => found.push(position));
  return found;
}

it.each(seeds(20))('knows each record that decides, once (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const log = new FakeLog(chance.chance(0.5) ? 16 : 1_024);
  const disk = new MemoryDisk();
  let index = await indexOf(log, disk);
  let groups = 0;
  const step = (): void => {
    for (let i = chance.below(20); i > 0; i -= 1) {
      if (chance.chance(0.3)) log.append(RecordKind.groupDeleted, encodeGroupDeleted((groups += 1) as GroupId), 40);
      else log.append(RecordKind.message, new Uint8Array(), 1_000 + chance.below(5_000));
    }
    if (chance.chance(0.8)) log.fold(chance.below(80));
    if (chance.chance(0.05)) log.foldAnew(chance.below(log.all.length + 1));
    const behind = log.all[log.all.length - chance.below(20)];
    if (behind && behind.position > log.commitEnd) log.commitEnd = behind.position;
  };
  for (let round = 0; round < 15; round += 1) {
    step();
    await follow(index, step);
    if (chance.chance(0.1)) {
      if (chance.chance(0.5)) await index.stop(); // Else it is killed.
      log.foldAnew(chance.below(log.all.length + 1));
      index = await indexOf(log, disk);
    }
  }
  log.fold(Infinity);
  log.commitEnd = log.end;
  await index.follow();
  expect(index.indexedTo).toBe(log.end);
  const expected = log.all.filter(({ kind }) => kind === RecordKind.groupDeleted).map(({ position }) => [position]);
  const found: number[][] = [];
  for (let group = 1; group <= groups; group += 1) found.push(await foundOf(index, group));
  expect(found).toEqual(expected);
});

it('reads no message while the fold notes what decides', async () => {
  const log = new FakeLog(1_024);
  const index = await indexOf(log);
  for (let i = 1; i <= 300; i += 1) {
    log.append(RecordKind.message, new Uint8Array(), 5_000);
    if (i % 3 === 0) log.append(RecordKind.groupDeleted, encodeGroupDeleted((i / 3) as GroupId), 40);
    log.fold(2);
    log.commitEnd = log.end;
    if (i % 50 === 0) await index.follow();
  }
  expect([index.indexedTo, log.bytesRead]).toEqual([log.end, 100 * 40]);
  expect(await foundOf(index, 7)).toHaveLength(1);
});

// Pieces of a log that was cut off, overtaken by longer ones, or of which the log let go while nobody followed.
it('leaves no file behind that is no part of it', async () => {
  const log = new FakeLog(1_024);
  const disk = new MemoryDisk();
  const first = await indexOf(log, disk);
  for (let i = 1; i <= 200; i += 1) {
    log.append(RecordKind.message, new Uint8Array(), 5_000);
    log.fold(1);
    log.commitEnd = log.end;
    if (i % 20 === 0) await first.follow();
  }
  await first.stop();
  const before = await disk.list('data/decisions');
  expect(before).toEqual(['0-400000', '400000-800000', '800000-900000.part', '900000-1000000.part']);
  const [piece] = before.map((name) => name.split('-').map(Number)) as [[number, number]];
  const useless = [
    `0-${piece[1] - 5_000}`,
    '700000-800000.part',
    '850000-950000.part',
    `${log.end + 500_000}-${log.end + 900_000}`,
    `0-${log.end + 1}`,
  ];
  for (const name of useless) await replaceFile(disk, `data/decisions/${name}`, [Buffer.alloc(16)]);
  const second = await indexOf(log, disk);
  await second.follow();
  expect(await disk.list('data/decisions')).toEqual(before);
  await second.stop();
  log.firstPosition = piece[1] as LogPosition;
  const third = await indexOf(log, disk);
  await third.follow();
  expect(await disk.list('data/decisions')).toEqual(before.slice(1));
  await third.stop();
});

// Goal: the first question after a start waits for little, however long the log is. Method: a log of many pieces, whose
// process ends in one way or another; the next one's reads are counted.
describe('a process that begins', () => {
  const messages = 4_000;
  const filled = async (): Promise<{ log: FakeLog; disk: MemoryDisk; index: DecisionIndex }> => {
    const log = new FakeLog(1_024);
    const disk = new MemoryDisk();
    const index = await indexOf(log, disk);
    for (let i = 1; i <= messages; i += 1) {
      const position = log.end;
      log.append(RecordKind.pending, new Uint8Array(), 1_000);
      const dropped = { position, size: 1_000, topicId: 1 as TopicId, dueMs: 0 };
      log.append(RecordKind.dropped, encodeDropped([dropped]), 40);
      log.fold(2);
      log.commitEnd = log.end;
      if (i % 20 === 0) await index.follow();
    }
    return { log, disk, index };
  };
  const droppedOf = async (index: DecisionIndex, message: number): Promise<number[]> => {
    const found: number[] = [];
    const offset = (message - 1) * 1_040;
    await index.find({ topic: Subject.pending, queue: 0, offset, after: offset }, (position) => found.push(position));
    return found.map((position) => (position - 1_000) / 1_040 + 1);
  };

  it.each([
    ['was stopped', true, 0],
    ['was killed', false, 400_000 / 8 + 20 * 1_040],
  ])('reads hardly any of the log where the one before %s', async (_, isStopped, logBytesMax) => {
    const { log, disk, index } = await filled();
    if (isStopped) await index.stop();
    log.foldAnew(0); // It folds from further back than what is indexed, and has not begun to.
    log.bytesRead = 0;
    const next = await indexOf(log, disk);
    log.notes.clear();
    await next.follow();
    expect(next.indexedTo).toBe(log.end);
    expect(log.bytesRead).toBeLessThanOrEqual(logBytesMax);
    const some = [1, 2_000, messages - 1, messages];
    expect(await Promise.all(some.map((message) => droppedOf(next, message)))).toEqual(some.map((one) => [one]));
  });

  it('reads of a piece that is about something else only what says so', async () => {
    const { log, disk, index } = await filled();
    await index.stop();
    const pieces = (await disk.list('data/decisions')).filter((name) => !name.endsWith('.part'));
    expect(pieces).toHaveLength(10);
    const wholes: string[] = [];
    const counted = faultyDisk(disk, (operation, path) => {
      if (operation === 'size') wholes.push(path);
      return undefined;
    });
    const next = await indexOf(log, counted);
    wholes.length = 0; // Its own parts are taken up.
    expect(await droppedOf(next, messages / 2)).toEqual([messages / 2]);
    expect(wholes).toHaveLength(1);
    await droppedOf(next, messages / 2);
    expect(wholes).toHaveLength(1); // And that one is kept.
  });

  it('makes again what is damaged', async () => {
    const { log, disk, index } = await filled();
    await index.stop();
    for (const name of await disk.list('data/decisions')) {
      const file = await disk.open(`data/decisions/${name}`);
      await file.write([Buffer.from('damaged')], (await file.size()) - 7);
      await file.close();
    }
    const next = await indexOf(log, disk);
    await next.follow();
    for (let one = 1; one <= messages; one += 97) expect(await droppedOf(next, one)).toEqual([one]);
  });
});

// Goal: what can't be read costs its own decisions, for as long as it can't be read.
describe('a record that can not be read', () => {
  const groups = 200;
  const world = async (): Promise<{ log: FakeLog; disk: MemoryDisk; index: DecisionIndex; bad: LogRecord }> => {
    const log = new FakeLog(1_024);
    const disk = new MemoryDisk();
    for (let i = 1; i <= groups; i += 1) {
      log.append(RecordKind.message, new Uint8Array(), 5_000);
      log.append(RecordKind.groupDeleted, encodeGroupDeleted(i as GroupId), 40);
    }
    const bad = log.all[2 * 99 + 1] as LogRecord;
    log.bad.add(bad.position);
    log.fold(Infinity);
    log.commitEnd = log.end;
    const index = await indexOf(log, disk);
    await index.follow();
    return { log, disk, index, bad };
  };
  const knownOf = async (index: DecisionIndex): Promise<number> => {
    let known = 0;
    for (let group = 1; group <= groups; group += 1) known += (await foundOf(index, group)).length;
    return known;
  };
  const mend = (log: FakeLog): void => {
    log.bad.clear();
    log.damage.all.length = 0;
  };

  it('is passed over, and in the index once it has been mended', async () => {
    const { log, index, bad } = await world();
    expect([index.indexedTo, await knownOf(index), (await foundOf(index, 100)).length]).toEqual([
      log.end,
      groups - 1,
      0,
    ]);
    mend(log);
    await index.follow();
    expect([index.indexedTo, await knownOf(index), await foundOf(index, 100)]).toEqual([
      log.end,
      groups,
      [bad.position],
    ]);
    await index.stop();
  });

  it('is in it also where it is mended while nobody looks', async () => {
    const { log, disk, index } = await world();
    await index.stop();
    mend(log);
    const next = await indexOf(log, disk);
    await next.follow();
    expect([next.indexedTo, await knownOf(next)]).toEqual([log.end, groups]);
    expect((await disk.list('data/decisions')).filter((name) => name.endsWith('.lacks'))).toEqual([]);
    await next.stop();
  });

  it('is told of once while it can not be passed over, and again when there is another reason', async () => {
    const { log, disk, index } = await world();
    await index.stop();
    const said: string[] = [];
    const clock = new ManualClock();
    const warn = (facts: { readonly reason?: string }): void => void said.push(facts.reason ?? '');
    const logger = { ...silentLogger, warn } as Logger;
    let reason = 'the active segment is damaged';
    log.records = () => Promise.reject(new MqError('CORRUPT_RECORD', reason));
    const next = await indexOf(log, disk, { clock, logger });
    log.append(RecordKind.groupDeleted, encodeGroupDeleted(1 as GroupId), 40);
    log.fold(1);
    log.commitEnd = log.end;
    const pass = async (): Promise<void> => {
      for (let round = 0; round < 5; round += 1) {
        clock.advance(2_000);
        for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await pass();
    reason = 'its file is gone';
    await pass();
    expect(said).toEqual(['the active segment is damaged', 'its file is gone']);
    await next.stop();
  });

  it('makes nobody read the log again once it is given up', async () => {
    const { log, disk, index } = await world();
    await index.stop();
    log.givenUp.push(...log.damage.all.splice(0));
    const next = await indexOf(log, disk);
    await next.follow();
    await next.stop();
    log.bytesRead = 0;
    const third = await indexOf(log, disk);
    await third.follow();
    expect(await knownOf(third)).toBe(groups - 1);
    expect(log.bytesRead).toBeLessThan(400_000);
    await third.stop();
  });
});
