// Goal: what was acknowledged outlives a power cut on the real disk, whatever of the unsynced writes is lost, torn or
// reordered. Method: strace records the system calls of a real broker at work; cut off at a point by chance they are
// replayed into a folder as a power cut may leave it; a real broker opens that, and everything acknowledged before the
// point must be there. The same record with one kind of care left out must fail: else the checker sees nothing.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { ensure } from '../../tools/debian/ensure.mjs';
import { root } from '../support/process.js';
import { Standalone } from '../support/standalone.js';
import { Subject } from './src/subject.js';
import { Replay, type Planted } from './src/replay.js';
import { mayTrace, record, type Recording } from './src/trace.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('the real disk', () => {
  let folder = '';
  let data = '';
  let states = '';
  let strace: string | undefined;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-disk-'));
    data = join(folder, 'data');
    states = mkdtempSync(join(hasRoom('/dev/shm') ? '/dev/shm' : folder, 'cometmq-crashes-'));
    const found = tool();
    if (found !== undefined && mayTrace(found)) strace = found;
    else console.warn('no process can be traced on this machine: crashes of the real disk are not tried');
  }, 180_000);
  afterAll(() => {
    for (const made of [folder, states]) rmSync(made, { recursive: true, force: true });
  });

  /** A broker at work by a seed, watched. */
  function watch(seed: number): Recording | undefined {
    if (!strace) return undefined;
    rmSync(data, { recursive: true, force: true });
    mkdirSync(data);
    const program = join(root, 'dist/e2e/crash/main.cjs');
    return record(strace, join(folder, 'trace'), process.execPath, [program, join(data, dataName), String(seed)]);
  }

  it.each(seeds(2))(
    'keeps what was acknowledged through power cuts (seed %i)',
    async (seed) => {
      const recording = watch(seed);
      if (!recording) return;
      const { events, said } = recording;
      expect(said).toMatch(/^topic kept\n[^]*\nsent #kept-\d+\n[^]*\ndone #kept-\d+\n[^]*\nstopped\n$/);
      const kinds = new Set(events.map(({ operation }) => operation.kind));
      expect([...kinds].sort()).toEqual(
        ['close', 'make folder', 'open', 'rename', 'sync', 'truncate', 'unlink', 'write'].sort(),
      );
      const tried = await tryCrashes(recording, 100, undefined, new Prng(seed));
      expect(tried.broken).toEqual([]);
      expect(tried.acknowledged).toBeGreaterThan(1_000);
    },
    120_000,
  );

  describe('would not keep it', () => {
    let recording: Recording | undefined;
    beforeAll(() => (recording = watch(4)), 60_000);

    it.each([
      ['O_DSYNC', 'broker/log'],
      ['syncs of files', 'broker/log'],
      ['syncs of files', 'broker/state'],
      ['syncs of files', 'metadata'],
      ['syncs of the folder', ''],
      ['syncs of the folder', 'broker'],
      ['syncs of the folder', 'broker/log'],
      ['syncs of the folder', 'broker/state'],
      ['syncs of the folder', 'metadata'],
    ] as const)(
      'without %s in %s (seed 4)',
      async (leavesOut, under) => {
        if (!recording) return;
        const { broken } = await tryCrashes(
          recording,
          250,
          { leavesOut, under: `${dataName}/${under}` },
          new Prng(4),
          1,
        );
        expect(broken).toHaveLength(1);
      },
      120_000,
    );
  });

  /** Cuts the power at points by chance, until `brokenMax` states were not what they must be. */
  async function tryCrashes(
    { events }: Recording,
    points: number,
    planted: Planted | undefined,
    chance: Prng,
    brokenMax = 3,
  ): Promise<{ broken: string[]; acknowledged: number }> {
    const replay = new Replay(data, planted);
    // Where names change most can go wrong, so half of the points are there.
    const special = events.flatMap(({ operation: { kind } }, i) => (kind === 'rename' || kind === 'unlink' ? [i] : []));
    const cuts = new Set<number>();
    while (cuts.size < points) {
      const near = chance.pick(special) + 1 + chance.below(12);
      cuts.add(chance.chance(0.5) ? Math.min(near, events.length - 1) : chance.below(events.length));
    }
    const broken: string[] = [];
    let acknowledged = 0;
    for (let i = 0; i < events.length && broken.length < brokenMax; i += 1) {
      if (cuts.has(i)) {
        const at = `event ${i} of ${events.length}`;
        const where = join(states, `crash-${i}`);
        lay(where, replay.crash(chance));
        const promised = replay.said.split('\n').filter((line) => line !== '');
        acknowledged += promised.length;
        const wrong = await whatIsWrong(where, promised);
        if (wrong !== undefined) broken.push(`${at}: ${wrong}`);
        rmSync(where, { recursive: true });
      }
      const event = events[i];
      if (event) replay.apply(event);
    }
    return { broken, acknowledged };
  }

  it('is written by O_DSYNC in a real standalone', async () => {
    const standalone = await new Standalone().start();
    try {
      const log = join(standalone.dataDir, 'broker/log/0000000000000000.log');
      const flags = flagsOf(standalone.program.pid, log);
      expect(flags.length).toBeGreaterThan(0);
      for (const each of flags) expect(each & oDsync).toBe(oDsync);
    } finally {
      await standalone.stop();
    }
  }, 60_000);
});

/** Made by the broker itself, with the folder above it: their names must outlive a power cut too. */
const dataName = 'made/here';

/** As the kernel counts it; Node.js names it in `fs.constants` only. */
const oDsync = 0o10000;

/** What a crash left is looked at in memory, where there is some: of that, nothing need outlive anything. */
function hasRoom(memory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize > 256 * 1024 * 1024;
  } catch {
    return false;
  }
}

/** strace, where there is one or it can be installed. */
function tool(): string | undefined {
  try {
    return ensure('strace', 'strace');
  } catch {
    return undefined;
  }
}

/** With what flags the process has the file open. */
function flagsOf(pid: number, path: string): number[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== path) return [];
      const found = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
      return [Number.parseInt(found?.[1] ?? '0', 8)];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

function lay(where: string, left: ReturnType<Replay['crash']>): void {
  mkdirSync(where);
  for (const name of left.folders) mkdirSync(join(where, name), { recursive: true });
  for (const [path, bytes] of left.files) {
    mkdirSync(dirname(join(where, path)), { recursive: true });
    writeFileSync(join(where, path), bytes);
  }
}

/** Undefined: all that was promised is there. */
async function whatIsWrong(where: string, promised: readonly string[]): Promise<string | undefined> {
  const names = (word: string): string[] =>
    promised.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const subject = new Subject(join(where, dataName));
  try {
    await subject.start();
    const { topics, groups } = { topics: names('topic'), groups: names('group') };
    const lostTopics = topics.filter((name) => !subject.directory.topic(name));
    const lostGroups = groups.filter((name) => !subject.directory.group(name));
    if (lostTopics.length + lostGroups.length > 0) return `gone: ${[...lostTopics, ...lostGroups].join(', ')}`;
    const kept = subject.directory.topic('kept');
    const group = subject.directory.group('readers');
    if (!kept) return undefined;
    const found = new Set(await subject.idsOf(kept));
    const missing = names('sent').filter((id) => id.startsWith('#kept-') && !found.has(id));
    if (missing.length > 0)
      return `${missing.length} acknowledged messages are missing: ${missing.slice(0, 3).join(', ')}`;
    const done = new Set(names('done'));
    for (let more = group !== undefined; group && more;) {
      const polled = await subject.poll(kept, group, 32, 60_000);
      const again = polled.filter(({ id }) => done.has(id));
      if (again.length > 0) return `delivered again after its acknowledgement: ${again[0]?.id ?? ''}`;
      more = polled.length > 0;
    }
    return subject.failure?.message;
  } catch (caught) {
    return caught instanceof Error ? caught.message : String(caught);
  } finally {
    await subject.stop();
  }
}
