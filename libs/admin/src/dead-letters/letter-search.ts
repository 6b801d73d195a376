import type { LetterReplay, LettersAsked, MessageQuery } from '@cometmq/client';
import { deadLetterTopic, printable, type ConsumerGroup, type QueueOffset, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { AdminContext } from '../api/context.js';
import { askAll } from '../reports/ask-all.js';
import {
  messagePart,
  readPlaceId,
  SearchCursor,
  type MessagePartView,
  type MessageView,
} from '../reports/message-report.js';

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
  ) {}

  /** @throws MqError CONSUMER_GROUP_NOT_FOUND */
  static of(context: AdminContext, name: string): LetterSearch {
    const { directory } = context;
    const group = directory.group(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${printable(name)}"`);
    return new LetterSearch(context, group, directory.topic(deadLetterTopic(group.name)));
  }

  /** Under `missing` is who does not say what was replayed, too. @throws MqError BAD_REQUEST */
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
    const { replays, silent } = await this.replaysOf(topic, part.items);
    const items = part.items.map((item): LetterView => {
      const replayed = replays.get(keyOf(item));
      return replayed ? { ...item, replayed } : item;
    });
    const missing = [...part.missing, ...silent];
    return { ...part, missing, items: items.filter((item) => isWanted(item, filter)) };
  }

  /** Which of the letters were replayed. */
  private async replaysOf(topic: Topic, letters: readonly MessageView[]) {
    const { directory, brokers, clock, requestMsMax } = this.context;
    const asked = new Map<string, LettersAsked>();
    for (const { brokerSet, id, offset: at } of letters) {
      const offset = at as QueueOffset;
      const { position } = readPlaceId(directory, id).place;
      const known = asked.get(brokerSet);
      asked.set(brokerSet, {
        ...{ groupId: this.group.id, letterTopicId: topic.id },
        first: known && known.first < offset ? known.first : offset,
        last: known && known.last > offset ? known.last : offset,
        after: known && known.after < position ? known.after : position,
      });
    }
    const told = await askAll(
      directory,
      clock,
      requestMsMax,
      async (set) => {
        const range = asked.get(set);
        return range ? brokers.deadLetters.replays(set, range) : [];
      },
      (set) => asked.has(set),
    );
    const replays = new Map<string, Replayed>();
    for (const { brokerSet, answer } of told.answers) {
      for (const { letters: offsets, atMs, who, mode } of answer) {
        for (const offset of offsets) replays.set(keyOf({ brokerSet, offset }), { atMs, who, mode });
      }
    }
    return { replays, silent: told.missing };
  }
}

function keyOf({ brokerSet, offset }: Pick<MessageView, 'brokerSet' | 'offset'>): string {
  return `${brokerSet}/${offset}`;
}

function isWanted(letter: LetterView, { cause, originTopic, replayed }: LetterFilter): boolean {
  if (cause !== undefined && letter.cause !== cause) return false;
  if (originTopic !== undefined && letter.originTopic !== originTopic) return false;
  return replayed === undefined || replayed === (letter.replayed !== undefined);
}
