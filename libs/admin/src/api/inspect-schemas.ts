/** The JSON of what operators look at: messages, their lives, and who is connected. See schemas.ts. */
import { lifeEventKinds, replayOutcomes, replaysPerCallMax } from '@cometmq/client';
import { deadLetterCause, groupNameLengthMax, topicNameLengthMax } from '@cometmq/model';

import { arrayOf, described, missingList, object, ref, text, whole, type Schema } from './schema-parts.js';
import { alertRules } from '../alerts/alert-rules.js';
import { replayStates } from '../dead-letters/replay-jobs.js';
import { clientMarks } from '../reports/client-report.js';
import { whySteps } from '../reports/why-report.js';

const topicName = { type: 'string', minLength: 1, maxLength: topicNameLengthMax } as const;
const groupName = { type: 'string', minLength: 1, maxLength: groupNameLengthMax } as const;
const searched = { type: 'string', minLength: 1, maxLength: 1024 } as const;

const messageFields = {
  id: described(text, 'Names this message in its log: for links, and for the other calls.'),
  topic: described(text, 'Empty when the topic is gone.'),
  originTopic: described(text, 'The topic it was sent to, where that is another one: of a dead letter.'),
  brokerSet: text,
  queueId: whole,
  offset: described(whole, 'Absent: no queue shows it yet, or ever.'),
  storedMs: whole,
  messageId: text,
  tag: text,
  messageGroup: text,
  keys: arrayOf(text),
  type: text,
  bodyBytes: described(whole, 'As it was sent.'),
  dueMs: described(whole, 'Of a delayed message: when it was due as it was sent.'),
  liteTopic: text,
  cause: described(
    { type: 'string', enum: Object.keys(deadLetterCause) },
    'Of a dead letter: delivered as often as allowed, or given up by its consumer.',
  ),
  attempts: described(whole, 'Of a dead letter: how often it had been delivered.'),
} as const;
const messageRequired = Object.keys(messageFields).filter(
  (name) => !['originTopic', 'offset', 'dueMs', 'liteTopic', 'cause', 'attempts'].includes(name),
);

/** How a dead letter was given another chance. */
const replayed = object({ atMs: whole, who: text, mode: { type: 'string', enum: ['toGroup', 'toTopic'] } }, 'all');
const letterFilter = {
  cause: { type: 'string', enum: Object.keys(deadLetterCause), description: 'Why it became one.' },
  originTopic: described(topicName, 'The topic it was sent to.'),
  fromMs: described(whole, 'Became one at this time or later.'),
  toMs: described(whole, 'Became one before this time.'),
} as const;
const letterIds = arrayOf(text, { minItems: 1, maxItems: replaysPerCallMax, description: '`id`s of dead letters.' });
const bodyBytesMax = 4 * 1024 * 1024;

const clientMark = { type: 'string', enum: clientMarks } as const;

const member = object(
  {
    group: described(text, 'Empty when the group is gone.'),
    subscriptions: arrayOf(
      object({ topic: text, filter: { type: 'string', enum: ['tag', 'sql'] }, expression: text }, 'all'),
    ),
  },
  'all',
);

const alertFields = {
  key: described(text, 'The same as long as the same thing is wrong.'),
  rule: { type: 'string', enum: alertRules },
  severity: { type: 'string', enum: ['critical', 'warning'] },
  subject: described(text, 'The broker set or consumer group.'),
  text,
  silenced: { type: 'boolean' },
} as const;

export const inspectSchemas: Readonly<Record<string, Schema>> = {
  Alerts: object(
    {
      watching: described({ type: 'boolean' }, 'False: nobody looks for alerts.'),
      firing: arrayOf(object({ ...alertFields, sinceMs: whole }, 'all')),
      history: arrayOf(
        object({ ...alertFields, event: { type: 'string', enum: ['fired', 'resolved'] }, atMs: whole }, 'all'),
      ),
      silences: arrayOf(object({ key: text, untilMs: whole, who: text }, 'all')),
    },
    'all',
  ),
  AlertSilence: object(
    {
      key: { type: 'string', minLength: 1, maxLength: 512 },
      forMs: { type: 'integer', minimum: 1, maximum: 30 * 24 * 3_600_000, description: 'For so long from now.' },
    },
    'all',
  ),
  DeletedList: object(
    {
      items: arrayOf(
        object(
          {
            kind: { type: 'string', enum: ['topic', 'group'] },
            ...{ name: text, id: whole, who: text, deletedMs: whole },
            goneMs: described(whole, 'From then on it is gone for good.'),
          },
          'all',
        ),
      ),
      graceMs: described(whole, 'How long a deletion can be taken back; 0: not at all.'),
    },
    'all',
  ),
  Message: object(messageFields, messageRequired),
  MessagePart: object(
    {
      items: arrayOf(ref('Message')),
      next: described(text, 'Give it as `after` to go on; absent: everything was looked at. A part may be empty.'),
      looked: described(whole, 'Messages looked at for this part.'),
      left: described(whole, 'Messages still to be looked at.'),
      missing: missingList,
    },
    ['items', 'looked', 'left', 'missing'],
  ),
  MessageDescription: object(
    {
      ...messageFields,
      properties: { type: 'object', additionalProperties: text, description: "The sender's own." },
      text: described(text, 'The body, where it is UTF-8 text.'),
      base64: described(text, 'The body, where it is not.'),
      masked: described(
        text,
        'What of the body is hidden from who asks, as the topic’s `bodyMask` says; `*`: all of it.',
      ),
      cut: described({ type: 'boolean' }, 'The body is longer than what is given of it.'),
      plainBytes: described(whole, 'The body decompressed.'),
      encoding: described(text, 'How the body was sent: identity, gzip, zlib, zstd, lz4, other or unreadable.'),
      bornHost: text,
      bornMs: described(whole, 'When its sender made it; 0: it did not say.'),
      traceContext: text,
    },
    [...messageRequired, 'properties', 'cut', 'plainBytes', 'encoding', 'bornHost', 'bornMs', 'traceContext'],
  ),
  MessageLife: object(
    {
      events: arrayOf(
        object(
          {
            atMs: whole,
            kind: { type: 'string', enum: lifeEventKinds },
            position: described(whole, 'Log position of the record that says so.'),
            group: described(text, 'Absent: no group is concerned; empty: it is gone.'),
            clientId: text,
            attempt: whole,
            untilMs: described(whole, 'Until when it is invisible, or when it is due.'),
            topic: text,
            queueId: whole,
            offset: whole,
            who: described(text, 'The operator who decided.'),
          },
          ['atMs', 'kind', 'position', 'topic', 'queueId', 'offset'],
        ),
      ),
      indexedTo: described(whole, 'Log position up to which decisions are known; a moment behind the end.'),
      cut: described({ type: 'boolean' }, 'More was decided than is told.'),
    },
    'all',
  ),
  MessageWhy: object(
    {
      verdict: described({ type: 'string', enum: whySteps }, 'The first step that fails; `consumed`: none does.'),
      text: described(text, 'The same in a sentence.'),
      steps: arrayOf(object({ step: { type: 'string', enum: whySteps }, ok: { type: 'boolean' }, text }, 'all')),
    },
    'all',
  ),
  GroupLanes: object(
    {
      items: arrayOf(
        object(
          {
            brokerSet: text,
            topic: text,
            queueId: whole,
            messageGroup: text,
            offset: whole,
            id: described(text, 'The message that the others wait for, as /messages knows it.'),
            messageId: text,
            attempt: whole,
            clientId: described(text, 'Holds it; empty: it waits for its next attempt.'),
            untilMs: whole,
            storedMs: whole,
            inFlight: whole,
            waiting: described(whole, 'Known to wait behind it.'),
          },
          'all',
        ),
      ),
      total: whole,
      missing: missingList,
    },
    'all',
  ),
  Client: object(
    {
      clientId: text,
      language: text,
      version: text,
      streaming: described({ type: 'boolean' }, 'A proxy holds a Telemetry stream of it: it can be asked something.'),
      marks: described(
        arrayOf(clientMark),
        '`idle`: for ten minutes it neither sent, asked for nor acknowledged anything. `refused`: calls of it were refused ' +
          'in the last ten minutes. `otherFilter`: members of its group subscribe to one topic with different filters.',
      ),
      idleMs: described(whole, 'Since it last sent, asked for or acknowledged something. Absent: no proxy has told.'),
      refusals: described(
        arrayOf(
          object(
            {
              method: text,
              code: described(text, 'As the protocol of the clients names it.'),
              count: whole,
              agoMs: described(whole, 'Since the last of them.'),
            },
            'all',
          ),
        ),
        'Calls that were refused in the last ten minutes, the last ones first.',
      ),
      brokerSets: arrayOf(text),
      groups: arrayOf(member),
      producesTo: described(arrayOf(text), 'Topics it said it sends to.'),
    },
    ['clientId', 'language', 'version', 'streaming', 'marks', 'refusals', 'brokerSets', 'groups', 'producesTo'],
  ),
  ClientPage: object(
    {
      items: arrayOf(ref('Client')),
      total: whole,
      next: described(text, 'Give it as `after` to get the next page; absent on the last one.'),
      missing: missingList,
    },
    ['items', 'total', 'missing'],
  ),
  GroupMoves: object(
    {
      items: arrayOf(
        object(
          {
            id: text,
            atMs: whole,
            who: text,
            topic: text,
            undoes: described(text, 'The move that this one took back.'),
            undone: { type: 'boolean' },
            queues: arrayOf(
              object(
                {
                  brokerSet: text,
                  topic: text,
                  queueId: whole,
                  before: described(whole, 'Absent: it had not begun.'),
                  after: whole,
                },
                ['brokerSet', 'topic', 'queueId', 'after'],
              ),
            ),
          },
          ['id', 'atMs', 'who', 'topic', 'undone', 'queues'],
        ),
      ),
      missing: missingList,
    },
    'all',
  ),
  GroupLagHistory: object(
    {
      points: arrayOf(
        object(
          {
            atMs: whole,
            lag: described(whole, 'Messages not done yet.'),
            oldestMs: described(whole, 'When the oldest of them was stored.'),
          },
          ['atMs', 'lag'],
        ),
      ),
      missing: missingList,
    },
    'all',
  ),
  DeadLetterGroups: object(
    {
      items: arrayOf(
        object({ group: text, topic: text, messages: described(whole, 'Dead letters that are kept.') }, 'all'),
      ),
      missing: missingList,
    },
    'all',
  ),
  DeadLetter: object(
    { ...messageFields, replayed: described(replayed, 'The last time it was given another chance.') },
    [...messageRequired],
  ),
  DeadLetterPart: object(
    {
      items: arrayOf(ref('DeadLetter')),
      next: described(text, 'Give it as `after` to go on; absent: everything was looked at. A part may be empty.'),
      looked: whole,
      left: described(whole, 'Dead letters still to be looked at.'),
      missing: missingList,
    },
    ['items', 'looked', 'left', 'missing'],
  ),
  DeadLetterCounts: object(
    {
      counted: described(whole, 'Of the newest so many.'),
      complete: described({ type: 'boolean' }, 'These are all.'),
      byCause: arrayOf(object({ cause: text, messages: whole }, 'all')),
      byAge: arrayOf(
        object(
          {
            ageMs: described(whole, 'Younger than this, and not counted in the entry before; 0: older.'),
            messages: whole,
          },
          'all',
        ),
      ),
      byTopic: arrayOf(object({ topic: text, messages: whole }, 'all')),
      replayed: described(whole, 'Of them, were given another chance.'),
      missing: missingList,
    },
    'all',
  ),
  DeadLetterReplay: object({ ids: letterIds }, 'all'),
  DeadLetterReplayResult: object(
    {
      replay: described(text, 'What this is called in the log.'),
      items: arrayOf(object({ id: text, outcome: { type: 'string', enum: replayOutcomes } }, 'all')),
    },
    'all',
  ),
  DeadLetterResend: object(
    {
      id: described(text, '`id` of the dead letter.'),
      text: { type: 'string', maxLength: bodyBytesMax, description: 'Its new body; it stays as it was without.' },
      base64: { type: 'string', maxLength: 2 * bodyBytesMax, description: 'The same, of a body that is no text.' },
      tag: { type: 'string', maxLength: 1024 },
      keys: arrayOf({ type: 'string', minLength: 1, maxLength: 1024 }, { maxItems: 64 }),
      properties: { type: 'object', additionalProperties: { type: 'string' }, description: 'All of them.' },
    },
    ['id'],
  ),
  DeadLetterResent: object({ replay: text, messageId: text, queueId: whole, offset: whole }, 'all'),
  ReplayOrder: object(
    {
      ...letterFilter,
      perSecond: { type: 'integer', minimum: 1, maximum: 10_000, description: 'Messages a second.' },
      toTopic: described(
        { type: 'boolean' },
        'What the group alone can not get again (it is orderly, or the place of the message has expired) is sent to its ' +
          'topic: all groups of it get it.',
      ),
    },
    ['perSecond'],
  ),
  Replay: object(
    {
      ...{ id: text, group: text, who: text, startedMs: whole, endedMs: whole },
      state: { type: 'string', enum: replayStates },
      perSecond: whole,
      replayed: whole,
      resent: described(whole, 'Sent to their topics.'),
      left: { type: 'object', additionalProperties: whole, description: 'Left as they are, by the reason.' },
      detail: text,
    },
    ['id', 'group', 'who', 'startedMs', 'state', 'perSecond', 'replayed', 'resent', 'left'],
  ),
  ReplayList: object({ items: arrayOf(ref('Replay')) }, 'all'),
};

export const letterQuery: Schema = object(
  {
    ...letterFilter,
    replayed: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'Only those that were given another chance, or not.',
    },
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Dead letters to look at.' },
    after: described(text, '`next` of the part before.'),
  },
  [],
);
export const letterFilterQuery: Schema = object(letterFilter, []);
export const replayParams: Schema = object(
  {
    name: described(text, 'Name of the consumer group; "%" is written %25.'),
    replay: described(text, '`id` of the replay.'),
  },
  'all',
);

export const messageQuery: Schema = object(
  {
    topic: described(topicName, 'Where to look. With `id` it may be left out: all topics are looked through.'),
    id: described(searched, 'A message id.'),
    key: described(searched, 'One of its keys.'),
    tag: described(searched, 'Its tag.'),
    messageGroup: described(searched, 'Its message group.'),
    property: described(searched, 'The name of a user property.'),
    value: described(searched, 'And its value.'),
    text: described(searched, 'Somewhere in its body, decompressed where it is compressed.'),
    fromMs: described(whole, 'Stored at this time or later.'),
    toMs: described(whole, 'Stored before this time.'),
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Messages to find at most.' },
    after: described(text, '`next` of the part before.'),
  },
  [],
);
export const messageParams: Schema = object({ id: described(text, '`id` of a message in a list.') }, 'all');
export const messageReadQuery: Schema = object(
  {
    bytes: {
      type: 'integer',
      minimum: 0,
      maximum: 4 * 1024 * 1024,
      default: 65_536,
      description: 'How much of the body.',
    },
  },
  [],
);
export const whyQuery: Schema = object({ group: described(groupName, 'The consumer group.') }, ['group']);
export const lanesQuery: Schema = object(
  { limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Of each broker set.' } },
  [],
);
export const clientListQuery: Schema = object(
  {
    limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Items on a page.' },
    after: described(text, '`next` of the page before.'),
    contains: described(searched, 'Part of the client id, any case.'),
    mark: { ...clientMark, description: 'Those alone that have this mark.' },
  },
  [],
);
export const lagQuery: Schema = object(
  { hours: { type: 'integer', minimum: 1, maximum: 24, default: 24, description: 'How far back.' } },
  [],
);
export const moveParams: Schema = object(
  {
    name: described(text, 'Name of the consumer group; "%" is written %25.'),
    move: described(text, '`id` of the move.'),
  },
  'all',
);
export const alertParams: Schema = object({ key: described(text, '`key` of the alert.') }, 'all');
