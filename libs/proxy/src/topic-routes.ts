/**
 * Where a topic's new messages may go: broker sets that take messages, and the queues of each; those that have no leader at
 * the moment, or one that can't be reached, are passed over while there are others.
 * A route is built at first use and forgotten when the directory changes below it.
 */
import type { BrokerLink, BrokerLinks, Directory, DirectoryUpdate } from '@cometmq/client';
import {
  type QueueId,
  type Topic,
  hashText,
  homeSets,
  isRouted,
  queueId,
  queueOfGroup,
  setOfHash,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

export class TopicRoute {
  private turn: number;

  constructor(
    readonly topic: Topic,
    /** Names of the broker sets that take messages, or will when they have a leader, in a stable order. */
    private readonly sets: readonly string[],
    /** Names of those that message groups are spread over: a message group stays with its set while that takes nothing. */
    private readonly homes: readonly string[],
    start: number,
    /** Each set has a leader, and none takes messages: to wait for another leader is of no use. */
    private readonly allFull = false,
  ) {
    this.turn = start;
    this.homeHashes = homes.map(hashText);
  }
  private readonly homeHashes: readonly number[];

  /** The queue of the last `next` or `ofGroup`, and its broker set. */
  queueId: QueueId = queueId(0);
  broker = '';

  /**
   * The broker set that takes the next message, in turn over sets and then over queues; its queue is in `queueId`, its name in `broker`.
   * @throws MqError FORBIDDEN when the topic takes no messages, UNAVAILABLE while nobody leads, STORAGE_FULL
   */
  next(links: BrokerLinks): BrokerLink {
    this.checkWritable();
    const link = this.inTurn(links, true) ?? this.inTurn(links, false);
    if (link) return link;
    if (this.allFull) {
      throw new MqError('STORAGE_FULL', 'the disk is full: new messages are refused until space comes free');
    }
    throw new MqError('UNAVAILABLE', 'no broker takes new messages at the moment');
  }

  /** @param sure passes over leaders that can't be reached */
  private inTurn(links: BrokerLinks, sure: boolean): BrokerLink | undefined {
    const { topic, sets } = this;
    for (let tries = sets.length; tries > 0; tries -= 1) {
      const turn = this.turn;
      this.turn = (turn + 1) % (sets.length * topic.writeQueues);
      const set = sets[turn % sets.length] as string;
      const link = sure && links.doubtful?.(set) === true ? undefined : links.link(set);
      if (!link) continue;
      this.broker = set;
      this.queueId = queueId(Math.floor(turn / sets.length));
      return link;
    }
    return undefined;
  }

  /**
   * The broker set of a message group, always the same; its queue is in `queueId`.
   * @throws MqError FORBIDDEN when the topic takes no messages, UNAVAILABLE while nobody leads it
   */
  ofGroup(groupHash: number, links: BrokerLinks): BrokerLink {
    this.checkWritable();
    const set = this.homes[setOfHash(groupHash, this.homeHashes)];
    const link = set === undefined ? undefined : links.link(set);
    if (set === undefined || !link) {
      throw new MqError('UNAVAILABLE', "no broker takes the message group's messages at the moment");
    }
    this.broker = set;
    this.queueId = queueId(queueOfGroup(groupHash, this.topic.writeQueues));
    return link;
  }

  private checkWritable(): void {
    const { name, writeQueues, permission } = this.topic;
    if (writeQueues >= 1 && permission !== 'read' && permission !== 'none') return;
    throw new MqError('FORBIDDEN', `topic "${name}" has no writable queue`);
  }

  get setCount(): number {
    return this.sets.length;
  }
}

export class TopicRoutes {
  private readonly routes = new Map<string, TopicRoute>();
  private made = 0;

  constructor(private readonly directory: Directory) {}

  /** Undefined: the directory knows no such topic. */
  find(name: string): TopicRoute | undefined {
    const route = this.routes.get(name);
    if (route) return route;
    const topic = this.directory.topic(name);
    return topic && this.put(topic);
  }

  /**
   * Of a topic as the name service answered it: the directory may not have heard of it yet, or may have heard more since, as
   * answers and updates come by different ways.
   */
  learn(topic: Topic): TopicRoute {
    const known = this.find(topic.name);
    const knowsMore = known?.topic.id === topic.id && (known.topic.typeFixed || !topic.typeFixed);
    return knowsMore ? known : this.put(topic);
  }

  private put(topic: Topic): TopicRoute {
    const sets: string[] = [];
    const all = [...this.directory.brokerSets()].filter(isRouted);
    let full = 0;
    for (const set of all) {
      if (set.stage === 'draining') continue;
      if (set.writable || set.leader === undefined) sets.push(set.name);
      else full += 1;
    }
    sets.sort();
    this.made += 1; // Not every route shall start with the same queue.
    const slots = Math.max(1, sets.length * Math.max(1, topic.writeQueues));
    const allFull = full > 0 && full === all.length;
    const route = new TopicRoute(topic, sets, homeSets(all), this.made % slots, allFull);
    this.routes.set(topic.name, route);
    return route;
  }

  apply(update: DirectoryUpdate): void {
    if (update.kind === 'topic' || update.kind === 'topicDeleted') this.routes.delete(update.topic.name);
    else if (update.kind !== 'group' && update.kind !== 'groupDeleted') this.routes.clear();
  }
}
