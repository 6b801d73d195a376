/**
 * Bits that flip in a member's other files: indexes, state, and what it must not forget. Of what is kept twice only one copy:
 * what is lost with both, nobody can know. Who reads them has to notice; what was damaged is made anew, or taken of others.
 */
import type { Prng } from '@cometmq/shared';
import type { MemoryDisk } from '@cometmq/store/testing';

const copySuffix = '.copy';
/** Kept twice; which of the two, the seed says. */
const pairs = ['data/term', 'data/identity', 'data/log/gaps', 'data/state/manifest'];

/** On whose disk bits flip. */
interface FlippedMember {
  readonly place: string;
  readonly disk: MemoryDisk;
}

export class FileFlips {
  /** Whose files may still be damaged: nobody reads them before its next start. */
  private readonly hurt = new Set<string>();
  /** State that only who leads can give. */
  private states: {
    readonly member: FlippedMember;
    readonly path: string;
    readonly at: number;
    readonly is: number;
  }[] = [];

  constructor(
    private readonly chance: Prng,
    /** One of two may have to go on alone, and then nobody gives it the state that its log alone does not say. */
    private readonly isTwo: boolean,
  ) {}

  /** What was damaged; undefined: there is no such file yet, or another member could not lead for want of a third. */
  flip(member: FlippedMember, chance: Prng, othersAreWhole: boolean): string | undefined {
    const { place, disk } = member;
    const inFolder = (folder: string, suffix: string): string[] =>
      [...disk.names(folder)].filter((name) => name.endsWith(suffix)).map((name) => `${folder}/${name}`);
    const kind = this.isTwo
      ? chance.pick(['index', 'notes'] as const)
      : chance.pick(['index', 'state', 'notes'] as const);
    const all = {
      index: inFolder('data/index', '.index'),
      state: inFolder('data/state', '.pieces'),
      notes: this.notes(disk),
    };
    const paths = all[kind];
    if (paths.length === 0 || (kind === 'state' && !othersAreWhole)) return undefined;
    const path = chance.pick(paths);
    for (let count = 1 + chance.below(3); count > 0; count -= 1) {
      const size = disk.peek(path).byteLength;
      if (size === 0) return undefined;
      const at = chance.below(size);
      const mask = 1 << chance.below(8);
      for (const content of new Set([disk.peek(path), disk.peekSynced(path)])) {
        if (content && at < content.byteLength) content[at] = (content[at] ?? 0) ^ mask;
      }
      if (kind === 'state') this.states.push({ member, path, at, is: disk.peek(path)[at] ?? 0 });
    }
    this.hurt.add(place);
    return path;
  }

  /** Whether a member has state on its disk that can't be read. */
  lacksState(member: FlippedMember): boolean {
    this.states = this.states.filter(({ member: { disk }, path, at, is }) => {
      const slash = path.lastIndexOf('/');
      return [...disk.names(path.slice(0, slash))].includes(path.slice(slash + 1)) && disk.peek(path)[at] === is;
    });
    return this.states.some((each) => each.member === member);
  }
  isHurt(place: string): boolean {
    return this.hurt.has(place);
  }
  /** It has started since, and read all that it has. */
  isWell(place: string): void {
    this.hurt.delete(place);
  }

  private notes(disk: MemoryDisk): string[] {
    return pairs
      .map((path) => (this.isCopy ? path + copySuffix : path))
      .filter((path) => {
        const slash = path.lastIndexOf('/');
        return [...disk.names(path.slice(0, slash))].includes(path.slice(slash + 1));
      });
  }

  private get isCopy(): boolean {
    return (this.copyDrawn ??= this.chance.below(2) === 0);
  }
  private copyDrawn: boolean | undefined;
}
