import { MessageType, messageTypeName, type MessageTypeName, type Topic } from '@cometmq/model';
import type { TopicChange } from '@cometmq/client';

import { change, looksLike, type ChangeContext } from '../api/changes.js';
import type { AdminContext } from '../api/context.js';
import { checkDrained } from '../api/drained.js';
import { topicRemains, topicRemainsText } from '../reports/set-remains.js';
import { topicView } from '../reports/topic-report.js';
import { within } from '../within.js';
import { lookAtAbsence } from './absence.js';
import { askerOf, nameIn, type Kind, type Look } from './kinds.js';
import type { Difference } from './plan.js';
import type { Resource } from './resource.js';
import { topicSpec } from './spec-schemas.js';

type TopicContext = ChangeContext & Pick<AdminContext, 'brokers'>;

/** A spec that was found to be as its schema says. */
type TopicSpec = TopicChange & { readonly type?: MessageTypeName };

const settings = [
  ...['writeQueues', 'readQueues', 'permission'],
  ...['retentionMs', 'retentionBytes', 'liteExpirationMs', 'bodyMask'],
] as const;

export class TopicKind implements Kind {
  readonly kind = 'CometTopic';
  readonly plural = 'comettopics';
  readonly noun = 'topic';
  readonly schema = topicSpec;

  constructor(private readonly context: TopicContext) {}

  async look(resource: Resource): Promise<Look> {
    const topic = this.context.directory.topic(nameIn(resource));
    if (topic) return { found: { identity: topic.id, differences: differencesOf(topic, resource), adoptable: true } };
    return lookAtAbsence(this.context, 'topic', resource);
  }

  async create(resource: Resource): Promise<number> {
    const { directory } = this.context;
    const { type = 'normal', ...rest } = settingsOf(resource);
    const draft = { ...rest, name: nameIn(resource), type: MessageType[type] };
    const made = await change(
      this.context,
      (nameService) => nameService.createTopic(draft),
      ({ id }) => directory.topicById(id) !== undefined,
    );
    return made.id;
  }

  async change(resource: Resource, fields: readonly string[]): Promise<readonly string[]> {
    const { directory } = this.context;
    const name = nameIn(resource);
    const spec = settingsOf(resource);
    const before = directory.topic(name);
    if (fields.includes('type') && spec.type) {
      const type = MessageType[spec.type];
      await change(
        this.context,
        (nameService) => nameService.fixTopicType(name, type),
        () => directory.topic(name)?.typeFixed === true,
      );
    }
    const wanted: Record<string, unknown> = {};
    for (const field of settings) if (fields.includes(field)) wanted[field] = spec[field];
    // Queues are closed to senders first, and to readers once they are consumed: that is the next step then.
    const isLess = before !== undefined && (spec.readQueues ?? Infinity) < before.writeQueues;
    if (isLess && wanted['writeQueues'] !== undefined) delete wanted['readQueues'];
    const changed = fields.filter((field) => field === 'type' || wanted[field] !== undefined);
    if (Object.keys(wanted).length === 0) return changed;
    if (wanted['readQueues'] !== undefined) await checkDrained(this.context, name, spec.readQueues);
    await change(
      this.context,
      (nameService) => nameService.updateTopic(name, wanted as TopicChange),
      (made) => {
        const shown = directory.topicById(made.id);
        return shown !== undefined && looksLike(topicView(shown), topicView(made));
      },
    );
    return changed;
  }

  async delete(resource: Resource, identity: number): Promise<void> {
    const { directory } = this.context;
    await change(
      this.context,
      (nameService) => nameService.deleteTopic(nameIn(resource), { who: askerOf(this, resource) }),
      () => directory.topic(nameIn(resource))?.id !== identity,
    );
  }

  async restore(resource: Resource, identity: number): Promise<void> {
    const { directory } = this.context;
    await change(
      this.context,
      (nameService) => nameService.restore('topic', identity, { who: askerOf(this, resource) }),
      () => directory.topic(nameIn(resource))?.id === identity,
    );
  }

  async backlog(resource: Resource, identity: number): Promise<string> {
    const { directory, brokers, clock, requestMsMax } = this.context;
    const topic = directory.topic(nameIn(resource));
    if (topic?.id !== identity) return '';
    const sets = [...directory.brokerSets()].filter(({ stage }) => stage !== 'gone');
    const remains = await Promise.all(
      sets.map(({ name }) => within(clock, requestMsMax, name, topicRemains(name, topic, brokers))),
    );
    return topicRemainsText(remains);
  }
}

function settingsOf({ spec }: Resource): TopicSpec {
  const { name: _name, deletionPolicy: _policy, release: _release, ...rest } = spec;
  return rest;
}

/** What the spec leaves out may be as it is. */
function differencesOf(topic: Topic, resource: Resource): Difference[] {
  const spec = settingsOf(resource);
  const view = topicView(topic);
  const differences: Difference[] = [];
  const { type = 'normal' } = spec;
  // Until its first message has decided, the type of a topic that was made on use is open.
  if (messageTypeName(topic.type) !== type || (!topic.typeFixed && type !== 'normal')) {
    differences.push({ field: 'type', is: view.type, wanted: type, fixed: topic.typeFixed });
  }
  for (const field of settings) {
    const wanted = spec[field];
    if (wanted === undefined) continue;
    const is = view[field];
    // 0 stands for what is not set.
    if ((is ?? 0) !== wanted) differences.push({ field, is, wanted });
  }
  return differences;
}
