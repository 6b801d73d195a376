/**
 * The JSON of the API, written once: these schemas check what comes in, shape what goes out and are the OpenAPI
 * document. Durations end in `Ms` and are milliseconds, moments are milliseconds since 1970-01-01 UTC, sizes end in
 * `Bytes`. Fields a schema does not name are refused.
 */
import {
  actions,
  bodyMaskLengthMax,
  bodyMaskPattern,
  userKinds,
  type MessageTypeName,
  type Permission,
} from '@cometmq/model';
import { errorCodes } from '@cometmq/shared';
import { protections } from '../reports/set-report.js';
import { brokerSetStages, groupNameLengthMax, topicNameLengthMax } from '@cometmq/model';

import { backupSchemas } from './backup-schemas.js';
import { inspectSchemas } from './inspect-schemas.js';
import { sentenceNames } from './problem-sentences.js';
import { arrayOf, described, missingList, object, ref, text, whole, type Schema } from './schema-parts.js';

export { ref, type Schema } from './schema-parts.js';

const hour = 3_600_000;
const year = 365 * 24 * hour;

export const messageTypes: readonly MessageTypeName[] = [
  'normal',
  'fifo',
  'delay',
  'transaction',
  'priority',
  'lite',
  'mixed',
];
export const permissions: readonly Permission[] = ['readWrite', 'read', 'write', 'none'];

const switchOf = (description: string): Schema => ({ type: 'boolean', description });

const topicName = {
  type: 'string',
  minLength: 1,
  maxLength: topicNameLengthMax,
  description: 'Letters, digits, "%", "|", "-" and "_".',
} as const;
const groupName = { ...topicName, maxLength: groupNameLengthMax } as const;

const duration = { type: 'number', minimum: 0 } as const;

/** One time that a member took over the lead of its set. */
const failoverFields = {
  reason: { type: 'string', enum: ['start', 'closed', 'silent', 'handedOver'] },
  epoch: whole,
  atMs: described(whole, 'When it was over.'),
  noticeMs: described(duration, 'Until the leader was known to be gone.'),
  promiseMs: described(duration, 'Until enough members had promised.'),
  fetchMs: described(duration, 'Until it had all that they have.'),
  transactionMs: described(duration, 'Until the metadata store had it.'),
  startRecordMs: described(duration, 'Until the first record of its term was committed.'),
  foldMs: described(duration, 'Until it decided.'),
} as const;

const messageType: Schema = {
  type: 'string',
  enum: messageTypes,
  description: 'Type of the messages that the topic takes.',
};
const queues = { type: 'integer', minimum: 1, maximum: 1024 } as const;

/** What a topic may be made with and, but for its type, changed to. */
const topicSettings = {
  writeQueues: described(queues, 'New messages go to so many queues on each broker set.'),
  readQueues: described(queues, 'Consumers are served from so many queues on each broker set.'),
  permission: {
    type: 'string',
    enum: permissions,
    description: 'Whether messages may be sent to the topic and received from it.',
  },
  retentionMs: {
    type: 'integer',
    minimum: 0,
    maximum: 10 * year,
    description:
      "How long messages are kept, consumed or not; at least a minute. 0, or absent in a new topic: the broker's default.",
  },
  retentionBytes: {
    ...whole,
    minimum: 0,
    description:
      'How many bytes are kept on each broker set; at least 1 MiB. 0, or absent in a new topic: no limit of its own.',
  },
  liteExpirationMs: {
    type: 'integer',
    minimum: 0,
    maximum: 30 * 24 * hour,
    description:
      'Of a LITE topic: a lite topic that nothing is sent to for so long is removed; at least 15 minutes. 0, or absent: never.',
  },
  bodyMask: {
    type: 'string',
    maxLength: bodyMaskLengthMax,
    pattern: bodyMaskPattern,
    description:
      'What of the bodies is shown only to who may `sub` the topic: `*` for all of it, or fields of a JSON body, as ' +
      '`card.number,customer.*`; what is no JSON is then hidden as a whole. Empty, or absent: nothing is hidden.',
  },
} as const;

const delayMs = { type: 'integer', minimum: 0, maximum: 24 * hour } as const;
const retryPolicy: Schema = {
  type: 'object',
  required: ['kind'],
  discriminator: { propertyName: 'kind' },
  description: 'How long a message waits after each failed delivery.',
  oneOf: [
    object(
      {
        kind: { type: 'string', const: 'exponential' },
        initialMs: delayMs,
        maxMs: delayMs,
        multiplier: { type: 'number', minimum: 1, maximum: 100 },
      },
      'all',
    ),
    object(
      {
        kind: { type: 'string', const: 'customized' },
        nextMs: arrayOf(delayMs, { minItems: 1, maxItems: 64, description: 'The last one repeats.' }),
      },
      'all',
    ),
  ],
};
const groupStart: Schema = {
  type: 'object',
  required: ['at'],
  discriminator: { propertyName: 'at' },
  description:
    'Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, ' +
    'else at the end.',
  oneOf: [
    object({ at: { type: 'string', enum: ['auto', 'first', 'end'] } }, 'all'),
    object({ at: { type: 'string', const: 'time' }, timeMs: whole }, 'all'),
  ],
};

/** What binds a group to a LITE topic. A change keeps what it leaves out. */
const liteGroup: Schema = object(
  {
    topic: described(topicName, 'The LITE topic. It can not be changed later.'),
    exclusive: switchOf('A lite topic has one subscriber in the group: the newest evicts the one before.'),
    wildcard: switchOf('Members get all lite topics of the topic without subscribing to any.'),
    clientQuota: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      description: 'Lite topics that one client may subscribe to. Default: 2000.',
    },
    eventsMax: {
      type: 'integer',
      minimum: 1,
      maximum: 100_000,
      description: 'Lite topics with something ready that are remembered for a client. Default: 400.',
    },
    resetOnEviction: switchOf('After an eviction the group begins the lite topic anew at its first message.'),
    resetOnUnsubscribe: switchOf('After an unsubscription the group begins the lite topic anew at its first message.'),
  },
  ['topic'],
  { description: 'A group of lite consumers, bound to one LITE topic.' },
);

const groupSettings = {
  fifo: switchOf('Consume in order within each message group: one batch of it is in flight at a time.'),
  attemptsMax: {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    description: 'How often a message is delivered before it goes to the dead-letter topic.',
  },
  retryPolicy,
  start: groupStart,
  priorityFactor: {
    type: 'integer',
    minimum: 0,
    maximum: 100,
    description: 'Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all.',
  },
  lite: liteGroup,
} as const;

const loginFields = {
  user: described(text, 'Name of the user: its access key.'),
  secret: text,
  code: { type: 'string', maxLength: 64, description: 'Of the user’s second factor, or a recovery code of it.' },
} as const;

const topicFields = {
  name: text,
  id: whole,
  type: messageType,
  ...topicSettings,
  typeFixed: switchOf('False while the first message may still decide the type.'),
  layout: described(whole, 'Rises with every change of the queues.'),
  inner: switchOf('An inner topic: dead letters.'),
  createdMs: whole,
} as const;
const topicRequired = Object.keys(topicFields).filter(
  (name) => !name.startsWith('retention') && name !== 'liteExpirationMs' && name !== 'bodyMask',
);

const groupFields = {
  name: text,
  id: whole,
  ...groupSettings,
  pausedUntilMs: described(whole, 'Nothing is handed out before this time; absent: the group is not paused.'),
  createdMs: whole,
} as const;
const groupRequired = Object.keys(groupFields).filter(
  (name) => !['pausedUntilMs', 'priorityFactor', 'lite'].includes(name),
);

const resetTarget: Schema = {
  type: 'object',
  required: ['at'],
  discriminator: { propertyName: 'at' },
  description: 'Where the group goes on. Outside the queue: its nearest end.',
  oneOf: [
    object({ at: { type: 'string', enum: ['first', 'end'] } }, 'all'),
    object({ at: { type: 'string', const: 'time' }, timeMs: whole }, 'all', {
      description: 'At the first message stored at or after this time.',
    }),
    object({ at: { type: 'string', const: 'offset' }, offset: whole }, 'all'),
    object({ at: { type: 'string', const: 'group' }, group: groupName }, 'all', {
      description: 'Where another group has got to; queues it has never consumed stay as they are.',
    }),
  ],
};

const brokerSetFields = {
  name: text,
  epoch: whole,
  leader: described(text, 'host:port of the internal service; absent while nobody leads, empty within one process.'),
  leaderMember: text,
  members: arrayOf(
    object({ member: text, address: described(text, 'host:port; empty while it is not there.') }, 'all'),
  ),
  quorum: described(whole, 'How many members must have a record for it to be committed.'),
  stage: { type: 'string', enum: brokerSetStages, description: 'gone: in no route; draining: read, not written to.' },
  inSync: described(arrayOf(text), 'Members that keep up, as the leader says.'),
  writable: switchOf('False: takes no new messages.'),
  registeredMs: whole,
} as const;

const brokerState = object(
  {
    version: text,
    incarnation: text,
    appendEnd: described(whole, 'End of the log, in bytes since its beginning.'),
    commitEnd: described(whole, 'What consumers see ends here.'),
    diskBytes: whole,
    freeBytes: whole,
    lostBytes: described(whole, 'Of the log, known to be lost and not given up.'),
    oldestMs: described(whole, 'Time of the oldest record; 0: there is none.'),
    waitingPolls: whole,
    sessions: whole,
  },
  'all',
);

/** Fields of any kind. */
const anything: Schema = { type: 'object', additionalProperties: true };

const pageOf = (item: string): Schema =>
  object(
    {
      items: arrayOf(ref(item)),
      total: described(whole, 'How many match, on all pages.'),
      next: described(text, 'Give it as `after` to get the next page; absent on the last one.'),
    },
    ['items', 'total'],
  );

/** What is known of every message that no queue shows yet. */
const waitingFields = {
  id: described(text, 'As its sender got it: the recall handle, or the transaction id.'),
  topic: described(text, 'Empty when the topic is gone.'),
  brokerSet: text,
  messageId: text,
  tag: text,
  storedMs: whole,
  bytes: described(whole, 'What it takes in the log.'),
} as const;

const waitingPageOf = (item: string): Schema =>
  object(
    {
      items: arrayOf(ref(item)),
      total: described(whole, 'How many there are, of the topic or of all.'),
      next: described(text, 'Give it as `after` to get the next page; absent on the last one.'),
      missing: missingList,
    },
    ['items', 'total', 'missing'],
  );

/** By name, as they stand in the document's components. */
const policyFields = {
  resource: described(text, '`Topic:`, `Group:`, `Cluster:` or `Namespace:` with a name, a `prefix*` or `*`; or `*`.'),
  actions: arrayOf({ type: 'string', enum: actions }, { minItems: 1, maxItems: actions.length }),
  decision: { type: 'string', enum: ['allow', 'deny'], description: 'allow if absent; deny wins where two tie.' },
  sourceIps: arrayOf(text, { maxItems: 64, description: 'Addresses or blocks like 10.0.0.0/8; none: from anywhere.' }),
  policy: {
    type: 'string',
    enum: ['custom', 'default'],
    description: 'Default ones count where no custom one matches.',
  },
} as const;
const pattern = described(text, 'A name, a `prefix*` or `*`.');
const templates = {
  produce: arrayOf(pattern, { maxItems: 100, description: 'Topics that the user may send to.' }),
  consume: arrayOf(object({ topics: pattern, group: pattern }, 'all'), {
    maxItems: 100,
    description: 'Topics that the user may receive from, as which consumer group.',
  }),
  audit: arrayOf(pattern, {
    maxItems: 100,
    description: 'Consumer groups as which the user may read the audit log, the topic rmq_sys_audit_log.',
  }),
};
const apiTokenFields = {
  id: described(text, 'By which it is ended.'),
  name: described(text, 'What it is for.'),
  createdMs: whole,
  untilMs: described(whole, 'Until when it is good.'),
  policies: described(arrayOf(ref('Policy')), 'What it may do at most; absent: all that its user may.'),
};
const userFields = {
  name: {
    type: 'string',
    minLength: 1,
    maxLength: 64,
    description: 'Letters, digits, "_", ".", "@" and "-": its access key.',
  },
  kind: { type: 'string', enum: userKinds, description: 'A super user may do everything.' },
  enabled: switchOf('Whether it is let in.'),
  quota: object(
    {
      requestsPerSecond: described({ ...whole, minimum: 1 }, 'Requests, on each proxy.'),
      bytesPerSecond: described({ ...whole, minimum: 1 }, 'Bytes of requests, on each proxy.'),
    },
    [],
    { description: 'What is left out has no limit.' },
  ),
  secondFactor: switchOf('Whether a login needs a code besides the secret.'),
  keyId: described(text, 'The key that its secret is sealed under.'),
  createdMs: described(whole, 'When it was made.'),
  policies: arrayOf(ref('Policy'), { maxItems: 1000 }),
} as const;

export const schemas: Readonly<Record<string, Schema>> = {
  ...inspectSchemas,
  ...backupSchemas,
  Problem: object(
    {
      type: described(text, 'A URN that names the kind of problem.'),
      title: text,
      status: { type: 'integer' },
      detail: described(text, 'What was wrong and what is allowed.'),
      code: { type: 'string', enum: errorCodes },
      sentence: {
        type: 'string',
        enum: sentenceNames,
        description: 'Which sentence `detail` is, to be said in another language. Absent: none that has a name.',
      },
      params: {
        type: 'object',
        additionalProperties: text,
        description: 'What stands in the sentence, by name.',
      },
    },
    ['type', 'title', 'status', 'detail', 'code'],
  ),
  Login: object(loginFields, ['user', 'secret']),
  SecondFactorBegun: object(
    {
      secretKey: described(text, 'For the app, in base32. It is not shown again.'),
      secretUri: described(text, 'The same as otpauth://, for a QR code.'),
      setupToken: described(text, 'To be brought back with a first code, within ten minutes.'),
    },
    'all',
  ),
  SecondFactorFirst: object({ ...loginFields, setupToken: { type: 'string', maxLength: 2_048 } }, 'all'),
  SecondFactorSet: object(
    { recoveryCodes: described(arrayOf(text), 'Each logs in once where the app is lost. They are not shown again.') },
    'all',
  ),
  OidcLogin: object(
    {
      idToken: described(
        { type: 'string', maxLength: 16_384 },
        'An ID token of the identity provider, or a JWT of it.',
      ),
    },
    'all',
  ),
  OidcLogout: {
    type: 'object',
    required: ['logout_token'],
    properties: { logout_token: { type: 'string', maxLength: 16_384 } },
  },
  Token: object({ token: text, untilMs: described(whole, 'Until when it is good.') }, 'all'),
  OwnSecret: object({ secret: described(text, 'The one that is good now.') }, 'all'),
  OwnSecretChanged: object(
    {
      secret: described(text, 'The secret that was made. It is not shown again.'),
      csrfToken: text,
      untilMs: described(whole, 'Until when the session is good; it is prolonged while it is used.'),
    },
    'all',
  ),
  Session: object(
    {
      login: switchOf('Whether anybody has to log in.'),
      user: described(text, 'Who is logged in; absent: nobody.'),
      super: switchOf('Whether it may do everything.'),
      secondFactor: switchOf('Whether its logins need a code besides the secret.'),
      csrfToken: described(text, 'For the header x-csrf-token of what changes something.'),
      untilMs: described(whole, 'Until when the session is good; it is prolonged while it is used.'),
      oidc: {
        ...object(
          {
            issuer: described(text, 'The identity provider that people may log in by.'),
            deviceClientId: described(text, 'The client for its device flow; absent: there is none.'),
          },
          ['issuer'],
        ),
        description: 'Absent: there is no identity provider.',
      },
    },
    ['login'],
  ),
  Policy: object(policyFields, ['resource', 'actions']),
  Policies: object(
    {
      policies: arrayOf(ref('Policy')),
      before: described(
        arrayOf(ref('Policy')),
        'What they are until now: where somebody else has changed them meanwhile, nothing is. Absent: whatever they are.',
      ),
      ...templates,
    },
    ['policies'],
  ),
  User: object(userFields, ['name', 'kind', 'enabled', 'secondFactor', 'keyId', 'createdMs', 'policies']),
  NewUser: object({ ...userFields, secret: described(text, 'The secret that was made. It is not shown again.') }, [
    'name',
    'kind',
    'enabled',
    'secondFactor',
    'keyId',
    'createdMs',
    'policies',
  ]),
  UserPage: pageOf('User'),
  ApiTokenDraft: object(
    {
      name: described(text, 'What it is for.'),
      days: { type: 'integer', minimum: 1, maximum: 366, default: 90, description: 'For how long it is good.' },
      policies: described(
        arrayOf(ref('Policy')),
        'What it may do at most, of what its user may; each allows. Absent: all that its user may.',
      ),
    },
    ['name'],
  ),
  ApiToken: object(apiTokenFields, ['id', 'name', 'createdMs', 'untilMs']),
  NewApiToken: object(
    { ...apiTokenFields, token: described(text, 'For `Authorization: Bearer`. It is not shown again.') },
    ['id', 'name', 'createdMs', 'untilMs', 'token'],
  ),
  ApiTokens: object({ items: arrayOf(ref('ApiToken')) }, 'all'),
  AuditRecord: object(
    {
      id: described(whole, 'Rises with each entry of this process.'),
      time: described(text, 'ISO 8601.'),
      requestId: text,
      user: described(text, 'Absent: nobody who is known.'),
      how: { type: 'string', enum: ['token', 'apiToken', 'session', 'signature', 'oidc', 'kubernetes', 'none'] },
      apiToken: described(text, 'Which one of the user, where it was done by one.'),
      from: described(text, 'The address.'),
      operation: described(text, 'Of the REST API by its operationId, of clients by the method’s name.'),
      target: described(anything, 'What the path names.'),
      query: anything,
      change: described(anything, 'What was asked for, without secrets.'),
      before: described(anything, 'What was there, where that is known.'),
      after: described(anything, 'What was answered, without secrets.'),
      status: whole,
      given: described(whole, 'Messages that were shown or exported.'),
      masked: described(whole, 'Of them, with a body that was hidden from who asked, or a part of it.'),
      decision: { type: 'string', enum: ['done', 'failed', 'refused'] },
      reason: described(text, 'Why it was refused, or ended before its end.'),
      unrecorded: described(whole, 'Entries before this one that were too many to be recorded.'),
    },
    ['id', 'time', 'how', 'from', 'operation', 'decision'],
  ),
  AuditPage: object(
    {
      items: arrayOf(ref('AuditRecord')),
      next: described(text, 'Give it as `after` to get the next page; absent on the last one.'),
    },
    ['items'],
  ),
  UserDraft: object(
    {
      name: userFields.name,
      kind: userFields.kind,
      secret: described(text, '8 to 256 visible ASCII characters; absent: one is made.'),
      quota: userFields.quota,
      policies: userFields.policies,
      ...templates,
    },
    ['name'],
  ),
  UserChange: object(
    {
      kind: userFields.kind,
      enabled: userFields.enabled,
      secret: described(text, '8 to 256 visible ASCII characters.'),
      newSecret: { type: 'boolean', const: true, description: 'A secret is made, and shown in the answer only.' },
      reseal: { type: 'boolean', const: true, description: 'The same secret, under the newest key of the key file.' },
      quota: userFields.quota,
    },
    [],
    { minProperties: 1 },
  ),
  AccessQuestion: object(
    {
      user: userFields.name,
      action: { type: 'string', enum: actions },
      resource: described(text, '`Topic:orders`, `Group:billing` or `Cluster:DefaultCluster`.'),
      from: described(text, 'The address it comes from; absent: not known.'),
    },
    ['user', 'action', 'resource'],
  ),
  AccessAnswer: object({ allowed: switchOf('The decision.'), why: text, policy: ref('Policy') }, ['allowed', 'why']),
  Health: object({ status: { type: 'string', enum: ['ok'] } }, 'all'),
  BrokerSets: object({ brokerSets: arrayOf(ref('BrokerSet')) }, 'all'),
  BrokerSet: object(
    {
      name: text,
      protection: {
        type: 'string',
        enum: protections,
        description:
          'protected: any one member can be lost. noSpare: with one less, no messages are taken. singleCopy: one member has ' +
          'all. notServing: too few members are in sync. noLeader: nobody leads.',
      },
      says: described(text, 'The same in words, with what it waits for.'),
      epoch: described(whole, 'Rises with each leader.'),
      leader: described(text, 'The member that leads; absent: nobody does.'),
      quorum: described(whole, 'How many members must have a message for it to be acknowledged.'),
      writable: switchOf('It takes new messages.'),
      stage: { type: 'string', enum: brokerSetStages },
      membersWanted: described(whole, 'How many members it is to have; absent: its leader does not say.'),
      warnings: described(arrayOf(text), 'What is not as it should be, though nothing is lost by it now.'),
      members: arrayOf(
        object(
          {
            member: text,
            address: text,
            counts: switchOf('False: it copies the log, to become a member.'),
            leads: { type: 'boolean' },
            inSync: switchOf('It has all that is acknowledged.'),
            role: { type: 'string', enum: ['opening', 'standing', 'following', 'leading', 'failed'] },
            says: described(text, 'How it is, in its own words.'),
            epoch: whole,
            appendEnd: described(whole, 'Where its log ends.'),
            durableEnd: described(whole, 'Up to where it is on its disk.'),
            commitEnd: described(whole, 'Up to where it is acknowledged.'),
            lagBytes: described(whole, 'Behind the leader.'),
            lagMs: whole,
            problem: described(text, 'Why it did not answer.'),
            mayRestart: switchOf('It may be restarted now: messages go on being taken and delivered meanwhile.'),
            restartSays: described(text, 'Why, or why not.'),
          },
          ['member', 'address', 'counts', 'leads', 'inSync', 'mayRestart', 'restartSays'],
        ),
      ),
      lastFailover: object(failoverFields, 'all', {
        description: 'The last time another member took over, and where the time went.',
      }),
      failovers: described(
        arrayOf(object({ member: described(text, 'That took over.'), ...failoverFields }, 'all')),
        'The newest first, at most 100, as far as members that answer remember them.',
      ),
    },
    [...['name', 'protection', 'says', 'epoch', 'quorum', 'writable', 'stage', 'warnings', 'members', 'failovers']],
  ),
  SetStageWanted: object({ stage: { type: 'string', enum: ['serving', 'draining'] } }, 'all'),
  SetStage: object({ stage: { type: 'string', enum: ['joining', 'serving', 'draining'] } }, 'all'),
  SetRemains: object(
    {
      brokerSet: text,
      stage: { type: 'string', enum: brokerSetStages },
      messages: described(
        whole,
        'That some consumer group of their topic is not done with; where a topic has none, all that it keeps.',
      ),
      delayed: described(whole, 'Messages that are not due yet.'),
      transactions: described(whole, 'Neither committed nor rolled back.'),
      onTheirWay: described(whole, 'Messages on their way to other broker sets, as this one leaves.'),
      handedOver: described(whole, 'Messages that other broker sets have got from this one, as it leaves.'),
      problem: described(text, 'What keeps messages from going; absent: nothing.'),
      topics: arrayOf(object({ topic: text, messages: whole }, 'all', { description: 'Those with the most first.' })),
    },
    ['brokerSet', 'stage', 'messages', 'delayed', 'transactions', 'onTheirWay', 'handedOver', 'topics'],
  ),
  SetRemoval: object(
    { brokerSet: text, held: described(text, 'What it held, which nobody receives once it is stopped.') },
    'all',
  ),
  Election: object({ to: described(text, 'A member, or its place; absent: whoever is best.') }, []),
  BeyondElection: object(
    {
      member: text,
      grade: {
        type: 'string',
        enum: ['nothingMissing', 'unclean'],
        description:
          'nothingMissing: its word is enough by itself. unclean: what the others had beyond its log is lost.',
      },
      from: described(whole, 'So much is known to be in its log; absent: nothing is known of it.'),
      untilMs: described(whole, 'When the permission ends, in ms since 1970.'),
    },
    ['member', 'grade', 'untilMs'],
  ),
  Replacement: object({ member: described(text, 'A member, or its place.') }, 'all'),
  Adoption: object({ untilMs: described(whole, 'Wall time in ms since 1970.') }, ['untilMs']),
  LogDamages: object(
    {
      damages: arrayOf(
        object(
          {
            first: described(whole, 'Log position, in bytes, where it begins.'),
            end: described(whole, 'And where it ends.'),
            what: described(text, 'What was found, with the path of the file.'),
          },
          'all',
        ),
      ),
      seen: described(text, 'Stands for this list; given up is what was seen (`seen` of giveUpLost).'),
    },
    'all',
  ),
  Cluster: object(
    {
      id: text,
      healthy: switchOf('Every broker set has a leader that answers and takes messages.'),
      reasons: described(arrayOf(text), 'Why it is not healthy.'),
      hints: described(arrayOf(text), 'What somebody should do though all is well; absent: nothing.'),
      topics: whole,
      groups: whole,
      brokerSets: arrayOf(
        object({ ...brokerSetFields, state: brokerState, problem: text }, [
          ...['name', 'epoch', 'members', 'quorum', 'stage', 'inSync', 'writable', 'registeredMs'],
        ]),
      ),
    },
    ['id', 'healthy', 'reasons', 'topics', 'groups', 'brokerSets'],
  ),
  Topic: object(topicFields, topicRequired),
  LiteTopicPage: object(
    {
      items: arrayOf(object({ name: text, brokerSet: text, messages: whole, bytes: whole }, 'all')),
      next: described(text, '`after` of the next page; absent: that was all.'),
    },
    ['items'],
  ),
  LiteTopicDescription: object(
    {
      name: text,
      topic: text,
      places: arrayOf(
        object(
          {
            brokerSet: text,
            queueId: whole,
            minOffset: whole,
            maxOffset: whole,
            bytes: whole,
            lastMs: described(whole, 'When its newest message came; 0: it holds none.'),
            groups: arrayOf(
              object(
                {
                  group: text,
                  committed: described(whole, 'All below is done. Absent: the group has not begun here.'),
                  lag: described(whole, 'Messages not done yet.'),
                  inFlight: whole,
                  subscribers: described(arrayOf(text), 'Client ids.'),
                },
                ['group', 'lag', 'inFlight', 'subscribers'],
              ),
            ),
          },
          'all',
        ),
        { description: 'One, but for what lies on its old home after a broker set was added.' },
      ),
      missing: missingList,
    },
    'all',
  ),
  TopicPage: pageOf('Topic'),
  TopicDraft: object({ name: topicName, type: messageType, ...topicSettings }, ['name']),
  TopicChange: object(topicSettings, [], { minProperties: 1 }),
  TopicDescription: object(
    {
      ...topicFields,
      bytes: described(whole, 'What the messages take in the logs.'),
      messages: described(whole, 'Offsets between first and next, over all queues.'),
      unread: described(
        whole,
        'Messages that some consumer group of the topic is not done with; where it has none, all.',
      ),
      queues: arrayOf(
        object(
          {
            brokerSet: text,
            queueId: whole,
            minOffset: described(whole, 'The first one kept.'),
            maxOffset: described(whole, 'The one the next message gets.'),
          },
          'all',
        ),
      ),
      missing: missingList,
    },
    [...topicRequired, 'bytes', 'messages', 'unread', 'queues', 'missing'],
  ),
  Delayed: object({ ...waitingFields, dueMs: described(whole, 'When it is delivered.') }, 'all'),
  DelayedPage: waitingPageOf('Delayed'),
  DelayedChange: object({ dueMs: described(whole, 'When to deliver it.') }, 'all'),
  Transaction: object(
    {
      ...waitingFields,
      checks: described(whole, 'How often a producer was asked what became of it.'),
      lastCheckMs: described(whole, '0: never.'),
      nextCheckMs: whole,
      parked: switchOf('Asked about as often as allowed: nobody is asked any more.'),
    },
    'all',
  ),
  TransactionPage: waitingPageOf('Transaction'),
  TransactionDecision: object(
    { who: { type: 'string', minLength: 1, maxLength: 200, description: "Who decides; else the caller's address." } },
    [],
  ),
  TransactionAudits: object(
    {
      items: arrayOf(
        object(
          {
            atMs: whole,
            who: text,
            resolution: { type: 'string', enum: ['commit', 'rollback'] },
            topic: text,
            brokerSet: text,
            position: described(whole, 'Where the half message stands in the log.'),
          },
          'all',
        ),
      ),
      missing: missingList,
    },
    'all',
  ),
  Group: object(groupFields, groupRequired),
  GroupItem: object(
    {
      ...groupFields,
      progress: object(
        {
          lag: described(whole, 'Messages not done yet.'),
          inFlight: described(whole, 'Messages delivered and not acknowledged yet.'),
          ready: described(whole, 'Messages that may be delivered now.'),
          members: described(whole, 'Clients that consume.'),
          topics: arrayOf(object({ topic: text, lag: described(whole, 'Messages of it not done yet.') }, 'all'), {
            description: 'That its members read, or it has progress in.',
          }),
          missing: arrayOf(text, { description: 'Broker sets that did not answer and are not counted.' }),
        },
        'all',
        { description: 'Where it was asked for.' },
      ),
    },
    groupRequired,
  ),
  GroupPage: pageOf('GroupItem'),
  GroupDraft: object({ name: groupName, ...groupSettings }, ['name']),
  GroupChange: object(groupSettings, [], { minProperties: 1 }),
  GroupPause: object(
    {
      untilMs: described(whole, 'Until this time.'),
      forMs: described({ ...whole, minimum: 1 }, 'For so long from now. Neither: until the group is resumed.'),
    },
    [],
    { type: ['object', 'null'] }, // A pause without an end needs no body.
  ),
  GroupReset: object(
    {
      topic: topicName,
      brokerSet: described(text, 'Absent: all of them.'),
      queueId: described({ ...whole, maximum: 2 ** 32 - 1 }, 'Absent: every queue of the topic.'),
      to: resetTarget,
      preview: switchOf('Nothing is changed: the answer says what would be.'),
    },
    ['topic', 'to'],
  ),
  GroupResetResult: object(
    {
      move: described(text, 'Names the move, for who wants to take it back; absent in a preview.'),
      queues: arrayOf(
        object(
          {
            brokerSet: text,
            topic: text,
            queueId: whole,
            before: described(whole, 'All below was done; absent: the group had not begun.'),
            after: described(whole, 'What is delivered next.'),
          },
          ['brokerSet', 'topic', 'queueId', 'after'],
        ),
      ),
      missing: missingList,
    },
    ['queues', 'missing'],
  ),
  ClientTrial: object({ group: groupName, topic: topicName, messageId: text }, 'all'),
  ClientAnswer: object(
    {
      code: described(whole, 'Of apache.rocketmq.v2.Code; 20000: it went well.'),
      message: text,
      text: described(text, 'Thread stacks.'),
    },
    ['code', 'message'],
  ),
  GroupDescription: object(
    {
      ...groupFields,
      lag: described(whole, 'Messages not done yet.'),
      inFlight: described(whole, 'Messages handed out and not acknowledged yet.'),
      ready: described(whole, 'Messages that may be handed out now.'),
      blocked: described(whole, "In a FIFO group: messages kept until their message group's turn comes."),
      lanes: described(whole, 'In a FIFO group: message groups that are busy.'),
      queues: arrayOf(
        object(
          {
            brokerSet: text,
            topic: described(text, 'Empty when the topic is gone.'),
            queueId: whole,
            minOffset: whole,
            maxOffset: whole,
            committed: described(whole, 'All below is done.'),
            frontier: described(whole, 'The first offset not looked at yet.'),
            lag: whole,
            inFlight: whole,
            ready: whole,
            blocked: whole,
            lanes: whole,
          },
          'all',
        ),
      ),
      members: arrayOf(
        object(
          {
            clientId: text,
            language: described(text, 'Of its SDK, as it said; empty: it did not.'),
            version: text,
            brokerSets: arrayOf(text),
            subscriptions: arrayOf(
              object({ topic: text, filter: { type: 'string', enum: ['tag', 'sql'] }, expression: text }, 'all'),
            ),
          },
          'all',
        ),
      ),
      warnings: described(arrayOf(text), 'What is allowed and seldom meant: members with different filters, say.'),
      missing: missingList,
    },
    [...groupRequired, ...['lag', 'inFlight', 'ready', 'blocked', 'lanes', 'queues', 'members', 'warnings', 'missing']],
  ),
};

export const clientParams = object(
  { clientId: { type: 'string', description: 'As `members` of a group show it.' } },
  'all',
);

export const nameParams = (what: string): Schema =>
  object({ name: { type: 'string', description: `Name of the ${what}; "%" is written %25.` } }, 'all');

const paging = {
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Items on a page.' },
  after: described(text, '`next` of the page before.'),
  contains: {
    type: 'string',
    minLength: 1,
    maxLength: topicNameLengthMax,
    description: 'Component of the name, any case.',
  },
} as const;

export const pageQuery = object(paging, []);
export const topicListQuery = object(
  {
    ...paging,
    type: { type: 'string', enum: messageTypes },
    inner: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'true: inner topics only, such as dead-letter topics; false: all others.',
    },
  },
  [],
);
export const groupListQuery = object(
  {
    ...paging,
    progress: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'With the progress of each group: all leaders are asked.',
    },
  },
  [],
);
export const liteListQuery = object(
  {
    limit: paging.limit,
    after: paging.after,
    prefix: { type: 'string', maxLength: 64, description: 'How the names begin.' },
  },
  [],
);
export const liteParams: Schema = object(
  {
    name: { type: 'string', description: 'Name of the LITE topic; "%" is written %25.' },
    liteTopic: { type: 'string', description: 'Name of the lite topic.' },
  },
  'all',
);

export const idParams = (description: string): Schema => object({ id: { type: 'string', description } }, 'all');

const waitingPaging = {
  topic: { ...topicName, description: 'Only those of this topic.' },
  limit: paging.limit,
  after: paging.after,
} as const;
export const delayedListQuery = object(
  {
    ...waitingPaging,
    fromMs: described(whole, 'Due at this time or later.'),
    toMs: described(whole, 'Due before this time.'),
  },
  [],
);
export const halfListQuery = object(waitingPaging, []);
