/**
 * What lite consumers that synchronise through this node subscribe to, so that a broker set which gets a new leader hears
 * of it at once and not only when its clients repeat themselves. Leaders keep subscriptions as soft state.
 */
import type { BrokerLink, BrokerLinks, Directory, LiteSyncCall } from '@cometmq/client';
import type { GroupId, TopicId } from '@cometmq/model';
import type { Clock } from '@cometmq/shared';

/** As long as leaders believe in a client that is silent. */
const silentMsMax = 180_000;
/** So often those that went without a word are forgotten. */
const sweepMs = 60_000;

interface Remembered {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly names: Set<string>;
  syncedMs: number;
}

export class LiteMemory {
  /** By client; one has one group nearly always. */
  private readonly clients = new Map<string, Remembered[]>();
  /** Of each set, the term that has heard of all, and by which link. */
  private readonly told = new Map<string, { readonly epoch: number; readonly link: BrokerLink }>();
  private sweptMs = 0;

  constructor(
    private readonly directory: Directory,
    private readonly links: BrokerLinks,
    private readonly clock: Clock,
  ) {}

  /** Clients that are remembered. */
  get size(): number {
    return this.clients.size;
  }

  /** All sets that have a leader were told this. */
  synced({ clientId, groupId, topicId, action, liteTopics }: LiteSyncCall): void {
    if (this.clock.monotonicMs() - this.sweptMs > sweepMs) this.dropSilent();
    const known = this.clients.get(clientId) ?? [];
    let entry = known.find((one) => one.groupId === groupId);
    if (!entry) {
      if (action === 'remove' || action === 'removeAll') return;
      entry = { groupId, topicId, names: new Set(), syncedMs: 0 };
      this.clients.set(clientId, [...known, entry]);
    }
    entry.syncedMs = this.clock.monotonicMs();
    if (action === 'setAll' || action === 'removeAll') entry.names.clear();
    for (const name of liteTopics) {
      if (action === 'remove') entry.names.delete(name);
      else entry.names.add(name);
    }
  }

  /** The client lost a lite topic, or the lite topic is gone. */
  forget(clientId: string, topicId: TopicId, liteTopic: string): void {
    for (const entry of this.clients.get(clientId) ?? []) if (entry.topicId === topicId) entry.names.delete(liteTopic);
  }

  drop(clientId: string): void {
    this.clients.delete(clientId);
  }

  /** After a change of leaders: tells sets that have a new leader what is remembered. */
  repeat(): void {
    for (const name of [...this.told.keys()]) if (!this.directory.brokerSet(name)) this.told.delete(name);
    for (const { name, epoch } of this.directory.brokerSets()) {
      const link = this.links.link(name);
      const told = this.told.get(name);
      if (!link || (told?.epoch === epoch && told.link === link)) continue;
      this.told.set(name, { epoch, link });
      this.dropSilent();
      for (const [clientId, entries] of this.clients) {
        for (const { groupId, topicId, names } of entries) {
          const call: LiteSyncCall = { clientId, groupId, topicId, action: 'setAll', liteTopics: [...names] };
          link.syncLite(call, () => undefined); // Where it fails, the client repeats it soon.
        }
      }
    }
  }

  private dropSilent(): void {
    this.sweptMs = this.clock.monotonicMs();
    const oldestMs = this.clock.monotonicMs() - silentMsMax;
    for (const [clientId, entries] of this.clients) {
      if (entries.every(({ syncedMs }) => syncedMs < oldestMs)) this.clients.delete(clientId);
    }
  }
}
