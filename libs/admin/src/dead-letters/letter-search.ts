import type { LetterReplay, MessageQuery } from '@cometmq/client';
import { deadLetterTopic, printable, type ConsumerGroup, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import { askAll } from '../reports/ask-all.js';
import { messagePart, SearchCursor, type MessagePartView, type MessageView } from '../reports/message-report.js';

export interface LetterFilter {
  readonly cause?: string | undefined;
  /** The topic that it was sent to. */
  readonly originTopic?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** Left out: both. */
  readonly replayed?: boolean | undefined;
}

interface Replayed {
  readonly atMs: number;
  readonly who: string;
  readonly mode: LetterReplay['mode'];
}

export interface LetterView extends MessageView {
  /** The last time it was given another chance. */
  readonly replayed?: Replayed;
}
export interface LetterPart extends Omit<MessagePartView, 'items'> {
  readonly items: readonly LetterView[];
}

/** Dead letters of one group over all broker sets, newest first, a bounded part at a time. */
export class LetterSearch {
  private constructor(
    private readonly context: AdminContext,
    readonly group: ConsumerGroup,
    private readonly topic: Topic | undefined,
    private readonly replays: ReadonlyMap<string, Replayed>,
    /** Broker sets that did not say what was replayed: what is theirs may look as if it never was. */
    readonly silent: readonly { readonly brokerSet: string; readonly detail: string }[],
  ) {}

  /** @throws MqError CONSUMER_GROUP_NOT_FOUND */
  static async of(context: AdminContext, name: string): Promise<LetterSearch> {
    const { directory, brokers, clock, requestMsMax } = context;
    const group = directory.group(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
    const topic = directory.topic(deadLetterTopic(group.name));
    const replays = new Map<string, Replayed>();
    let silent: LetterSearch['silent'] = [];
    if (topic) {
      const told = await askAll(directory, clock, requestMsMax, (set) => brokers.deadLetters.replays(set, group.id, 0));
      silent = told.missing;
      for (const { brokerSet, answer } of told.answers) {
        for (const { letters, atMs, who, mode } of answer) {
          for (const offset of letters) replays.set(`${brokerSet}/${offset}`, { atMs, who, mode });
        }
      }
    }
    return new LetterSearch(context, group, topic, replays, silent);
  }

  /** @throws MqError BAD_REQUEST */
  async part(filter: LetterFilter, max: number, after: string | undefined): Promise<LetterPart> {
    const cursor = SearchCursor.read(after);
    const { topic } = this;
    if (!topic) return { items: [], looked: 0, left: 0, missing: [] }; // It never had one.
    const { directory, brokers, clock, requestMsMax } = this.context;
    const call: Omit<MessageQuery, 'before'> = {
      ...{ topicId: topic.id, messageId: '', key: '', tag: '', messageGroup: '', propertyName: '', propertyValue: '' },
      ...{ text: '', fromMs: filter.fromMs ?? 0, toMs: filter.toMs ?? 0, max },
    };
    const answered = await askAll(
      directory,
      clock,
      requestMsMax,
      (set) => brokers.inspect.findMessages(set, { ...call, before: cursor.of(set) }),
      (set) => cursor.of(set) >= 0,
    );
    const part = messagePart(directory, cursor, answered, max);
    const items = part.items.map((item): LetterView => {
      const replayed = this.replays.get(`${item.brokerSet}/${item.offset}`);
      return replayed ? { ...item, replayed } : item;
    });
    return { ...part, items: items.filter((item) => isWanted(item, filter)) };
  }
}

function isWanted(letter: LetterView, { cause, originTopic, replayed }: LetterFilter): boolean {
  if (cause !== undefined && letter.cause !== cause) return false;
  if (originTopic !== undefined && letter.originTopic !== originTopic) return false;
  return replayed === undefined || replayed === (letter.replayed !== undefined);
}
