/**
 * Topics and groups by name, made on first use where the name service allows it. Many callers at once are one
 * question, and a "no" is believed for a moment, so that a client that repeats itself doesn't reach the name service.
 */
import type { Directory, DirectoryUpdate, NameService } from '@cometmq/client';
import {
  type ConsumerGroup,
  type MessageType,
  type Topic,
  deadLetterTopic,
  groupName,
  isDeadLetterTopic,
  topicName,
} from '@cometmq/model';
import { type Clock, MqError } from '@cometmq/shared';

import type { FirstUses } from './first-uses.js';
import type { TopicRoute, TopicRoutes } from './topic-routes.js';

const refusedMs = 500;
const refusedMax = 1_000;
const dlqPrefix = '%DLQ%';

/** A question under way. */
interface Asking {
  answer: Promise<unknown> | undefined;
  /** What it asks for was deleted since. */
  deleted: boolean;
}

export class Names {
  private readonly asking = new Map<string, Asking>();
  private readonly refused = new Map<string, { readonly error: MqError; readonly untilMs: number }>();

  constructor(
    private readonly nameService: NameService,
    private readonly directory: Directory,
    private readonly routes: TopicRoutes,
    private readonly clock: Clock,
    private readonly firstUses: FirstUses,
  ) {}

  /**
   * @param peer who asks
   * @throws MqError ILLEGAL_TOPIC, TOPIC_NOT_FOUND, TOO_MANY_REQUESTS, FORBIDDEN
   */
  async topic(text: string | undefined, peer: string): Promise<Topic> {
    const known = this.routes.find(text ?? '');
    if (known) return known.topic;
    const name = topicName(text);
    return this.once(`topic ${name}`, async (asking) => {
      const topic = await (this.isOwnDeadLetterTopic(name)
        ? this.nameService.ensureInnerTopic(name)
        : this.make(peer, () => this.nameService.ensureTopic(name)));
      return this.learned(asking, topic).topic;
    });
  }

  /**
   * @param peer who asks
   * @throws MqError ILLEGAL_CONSUMER_GROUP, CONSUMER_GROUP_NOT_FOUND, TOO_MANY_REQUESTS, FORBIDDEN
   */
  async group(text: string | undefined, peer: string): Promise<ConsumerGroup> {
    const known = this.directory.group(text ?? '');
    if (known) return known;
    const name = groupName(text);
    return this.once(`group ${name}`, () => this.make(peer, () => this.nameService.ensureGroup(name)));
  }

  /** The first message of a topic that was made on first use says what it is for. @throws MqError TOPIC_NOT_FOUND */
  async fixType({ name }: Topic, type: MessageType): Promise<TopicRoute> {
    return this.once(`type ${name}`, async (asking) =>
      this.learned(asking, await this.nameService.fixTopicType(name, type)),
    );
  }

  apply(update: DirectoryUpdate): void {
    this.refused.clear(); // A new topic is usable at once, also by those who asked too early.
    if (update.kind !== 'topicDeleted') return;
    for (const what of ['topic', 'type']) {
      const asking = this.asking.get(`${what} ${update.topic.name}`);
      if (asking) asking.deleted = true;
    }
  }

  /** What was deleted while its answer was on the way must not come back as a route. */
  private learned(asking: Asking, topic: Topic): TopicRoute {
    const known = asking.deleted ? this.routes.find(topic.name) : this.routes.learn(topic);
    if (known) return known;
    throw new MqError('TOPIC_NOT_FOUND', `topic "${topic.name}" was deleted`);
  }

  private async make<T>(peer: string, ask: () => Promise<T>): Promise<T> {
    this.firstUses.take(peer);
    try {
      return await ask();
    } catch (caught) {
      this.firstUses.giveBack(peer);
      throw caught;
    }
  }

  /** Whoever may read a group's dead letters may do so before there are any. */
  private isOwnDeadLetterTopic(name: string): boolean {
    if (!isDeadLetterTopic(name)) return false;
    const group = this.directory.group(name.slice(dlqPrefix.length));
    return group !== undefined && deadLetterTopic(group.name) === name;
  }

  private once<T>(question: string, ask: (asking: Asking) => Promise<T>): Promise<T> {
    const refused = this.refused.get(question);
    if (refused && refused.untilMs > this.clock.monotonicMs()) return Promise.reject(refused.error);
    const asked = this.asking.get(question);
    if (asked) return asked.answer as Promise<T>;
    const asking: Asking = { deleted: false, answer: undefined };
    const answer = ask(asking)
      .catch((caught: unknown) => {
        const error = MqError.from(caught);
        if (!error.retry) this.refuse(question, error);
        throw error;
      })
      .finally(() => this.asking.delete(question));
    asking.answer = answer;
    this.asking.set(question, asking);
    return answer;
  }

  private refuse(question: string, error: MqError): void {
    if (this.refused.size >= refusedMax) this.refused.clear();
    this.refused.set(question, { error, untilMs: this.clock.monotonicMs() + refusedMs });
  }
}
