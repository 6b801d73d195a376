/** The metadata store, and the instances of the name service that stand on it. */
import { MemoryStore } from '@cometmq/metadata';
import { FaultyStore } from '@cometmq/metadata/testing';
import { namingService, NamesrvService, setRegistryDoor } from '@cometmq/namesrv';
import type { MqError } from '@cometmq/shared';

import type { SimClock, SimProcess } from './sim-clock.js';
import type { SimNetwork } from './sim-network.js';
import type { Effect } from './tally.js';

const backupEveryMs = 5_000;
const effects = {
  away: 'etcd did not answer',
  'answer lost': 'an answer of etcd was lost',
  'not heard': 'a watch of etcd missed something',
} as const satisfies Record<string, Effect>;

/** etcd, as far as its clients see it: away for some or for all, answers that get lost, set back to an older state. */
export class SimMetadata {
  store: MemoryStore;
  /** What was written for a while is gone. */
  wasSetBack = false;
  /** Somebody makes or deletes something. */
  isChanging = false;
  private readonly backups: number[] = [];
  private readonly ways: FaultyStore[] = [];

  constructor(
    clock: SimClock,
    private readonly met: (effect: Effect) => void,
  ) {
    const process = clock.process('etcd');
    this.store = new MemoryStore(process);
    const keep = (): void => {
      this.backups.push(this.store.written);
      process.after(backupEveryMs, keep);
    };
    process.after(backupEveryMs, keep);
  }

  /** How one instance of the name service reaches it. */
  way(): FaultyStore {
    const way = new FaultyStore(this.store);
    way.onMet = (what) => this.met(effects[what]);
    this.ways.push(way);
    return way;
  }

  /**
   * All that was written since one of the last backups is gone. Answers what the key said, if it says something else now;
   * undefined: there is no such backup.
   */
  async setBack(ago: number, key: string): Promise<{ readonly was: string | undefined } | undefined> {
    const back = Math.min(this.backups.length, 1 + ago);
    const backup = this.backups.at(-back);
    if (backup === undefined || this.isChanging) return undefined;
    const older = this.store.asOf(backup);
    await older.start();
    const [was, is] = [await this.store.get(key), await older.get(key)];
    this.store = older;
    this.backups.splice(-back);
    this.wasSetBack = true;
    for (const way of this.ways) way.becomes(older);
    return { was: was?.value === is?.value ? undefined : was?.value };
  }
}

/** An instance of the name service: a process that comes and goes. */
export class NameServer {
  starts = 0;
  service: NamesrvService | undefined;
  readonly way: FaultyStore;
  process: SimProcess | undefined;

  constructor(
    private readonly clock: SimClock,
    private readonly network: SimNetwork,
    metadata: SimMetadata,
    readonly host: string,
    private readonly clusterId: string,
  ) {
    this.way = metadata.way();
  }

  async start(): Promise<void> {
    const { clock, network, host, way, clusterId } = this;
    this.starts += 1;
    const process = clock.process(`${host} #${this.starts}`);
    this.process = process;
    const service = new NamesrvService({
      store: way,
      clock: process,
      autoCreateTopics: false,
      autoCreateGroups: false,
      newIdentity: () => ({ clusterId, secret: Buffer.alloc(32, 7) }),
      onReplaced: (error) => this.replaced(process, error),
    });
    await service.start();
    if (process.isOver) return;
    this.service = service;
    network.listen({ host, process }, [namingService(service), setRegistryDoor(service.sets)]);
  }

  end(): void {
    this.process?.end();
    this.service = undefined;
    this.network.gone(this.host);
  }

  /** It ends, and whoever watches over it starts it again. */
  private replaced(process: SimProcess, _why: MqError): void {
    if (process.isOver) return;
    this.end();
    this.clock.after(100, () => void this.start());
  }
}
