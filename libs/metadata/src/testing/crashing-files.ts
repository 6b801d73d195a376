import type { Prng } from '@cometmq/shared';

import type { MetadataFiles } from '../embedded/files.js';

/** Thrown by the operation during which the power went out. */
export class PowerCut extends Error {}

interface Node {
  /** What the operating system shows. */
  shown: Uint8Array;
  /** What the disk has for sure. */
  safe: Uint8Array;
}

/**
 * A folder in memory that loses what was not synced. Operation number `cutAt` is the last: it may have happened in
 * part. `afterCrash` gives what the disk then holds: unsynced bytes in any part, torn or missing or zero in the middle, and of
 * the changes of names since the last sync of the folder any.
 */
export class CrashingFiles implements MetadataFiles {
  readonly place = 'memory';
  operations = 0;
  private readonly names = new Map<string, Node>();
  private safeNames = new Map<string, Node>();
  /** Changes of names since the folder was synced, oldest first. */
  private renames: ((names: Map<string, Node>) => void)[] = [];

  constructor(public cutAt = Infinity) {}

  list(): Promise<string[]> {
    return Promise.resolve([...this.names.keys()]);
  }

  read(file: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.names.get(file)?.shown);
  }

  write(file: string, bytes: Uint8Array): Promise<void> {
    return this.step(() => {
      const node = this.names.get(file);
      if (node) node.shown = bytes.slice();
      else {
        const made = { shown: bytes.slice(), safe: new Uint8Array() };
        this.rename_((names) => names.set(file, made));
      }
    });
  }

  append(file: string, bytes: Uint8Array): Promise<void> {
    return this.step(() => {
      const node = this.node(file);
      node.shown = Buffer.concat([node.shown, bytes]);
    });
  }

  truncate(file: string, length: number): Promise<void> {
    return this.step(() => {
      const node = this.node(file);
      node.shown = node.shown.slice(0, length);
    });
  }

  sync(file: string): Promise<void> {
    return this.step(() => {
      const node = this.node(file);
      node.safe = node.shown;
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.step(() => {
      const node = this.node(from);
      this.rename_((names) => {
        names.delete(from);
        names.set(to, node);
      });
    });
  }

  remove(file: string): Promise<void> {
    return this.step(() => {
      this.node(file);
      this.rename_((names) => names.delete(file));
    });
  }

  syncFolder(): Promise<void> {
    return this.step(() => {
      this.safeNames = new Map(this.names);
      this.renames = [];
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The folder as the next process finds it. */
  afterCrash(chance: Prng): CrashingFiles {
    const next = new CrashingFiles();
    const names = new Map(this.safeNames);
    for (const rename of this.renames) if (chance.chance(0.5)) rename(names);
    const left = new Map<Node, Uint8Array>();
    for (const [name, node] of names) {
      const bytes = left.get(node) ?? survivor(node, chance);
      left.set(node, bytes);
      next.names.set(name, { shown: bytes, safe: bytes });
    }
    next.safeNames = new Map(next.names);
    return next;
  }

  /** Bytes of a file, to be damaged by a test. */
  shown(file: string): Uint8Array {
    return this.node(file).shown;
  }

  private rename_(change: (names: Map<string, Node>) => void): void {
    change(this.names);
    this.renames.push(change);
  }

  private node(file: string): Node {
    const found = this.names.get(file);
    if (!found) throw new Error(`no such file: ${file}`);
    return found;
  }

  private async step(act: () => void): Promise<void> {
    this.operations += 1;
    if (this.operations > this.cutAt) throw new PowerCut('the power is out');
    act();
    if (this.operations === this.cutAt) throw new PowerCut('the power went out');
  }
}

/** Any first part of what was shown, not shorter than both have in common, a hole in it now and then. */
function survivor({ shown, safe }: Node, chance: Prng): Uint8Array {
  if (shown === safe || chance.chance(0.2)) return safe;
  if (chance.chance(0.2)) return shown;
  const kept = shown.length < safe.length ? shown.length : safe.length;
  const bytes = Buffer.from(shown.slice(0, kept + chance.below(Math.max(1, shown.length - kept + 1))));
  if (bytes.length > kept + 2 && chance.chance(0.5)) {
    const from = kept + chance.below(bytes.length - kept);
    bytes.fill(0, from, from + 1 + chance.below(bytes.length - from));
  }
  return bytes;
}
