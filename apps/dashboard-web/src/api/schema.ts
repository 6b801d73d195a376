/** Made from the OpenAPI document by tools/web/api-types.mjs: not to be changed by hand. */

export type Alerts = {
  /** False: nobody looks for alerts. */
  readonly watching: boolean;
  readonly firing: readonly {
    /** The same as long as the same thing is wrong. */
    readonly key: string;
    readonly rule:
      | 'noLeader'
      | 'brokerSilent'
      | 'singleCopy'
      | 'diskLow'
      | 'consumerLag'
      | 'noConsumer'
      | 'deadLetters'
      | 'certificate';
    readonly severity: 'critical' | 'warning';
    /** The broker set or consumer group. */
    readonly subject: string;
    readonly text: string;
    readonly silenced: boolean;
    readonly sinceMs: number;
  }[];
  readonly history: readonly {
    /** The same as long as the same thing is wrong. */
    readonly key: string;
    readonly rule:
      | 'noLeader'
      | 'brokerSilent'
      | 'singleCopy'
      | 'diskLow'
      | 'consumerLag'
      | 'noConsumer'
      | 'deadLetters'
      | 'certificate';
    readonly severity: 'critical' | 'warning';
    /** The broker set or consumer group. */
    readonly subject: string;
    readonly text: string;
    readonly silenced: boolean;
    readonly event: 'fired' | 'resolved';
    readonly atMs: number;
  }[];
  readonly silences: readonly { readonly key: string; readonly untilMs: number; readonly who: string }[];
};

export type AlertSilence = {
  readonly key: string;
  /** For so long from now. */
  readonly forMs: number;
};

export type DeletedList = {
  readonly items: readonly {
    readonly kind: 'topic' | 'group';
    readonly name: string;
    readonly id: number;
    readonly who: string;
    readonly deletedMs: number;
    /** From then on it is gone for good. */
    readonly goneMs: number;
  }[];
  /** How long a deletion can be taken back; 0: not at all. */
  readonly graceMs: number;
};

export type Message = {
  /** Names this message in its log: for links, and for the other calls. */
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  /** The topic it was sent to, where that is another one: of a dead letter. */
  readonly originTopic?: string;
  readonly brokerSet: string;
  readonly queueId: number;
  /** Absent: no queue shows it yet, or ever. */
  readonly offset?: number;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  readonly type: string;
  /** As it was sent. */
  readonly bodyBytes: number;
  /** Of a delayed message: when it was due as it was sent. */
  readonly dueMs?: number;
  readonly liteTopic?: string;
  /** Of a dead letter: delivered as often as allowed, or given up by its consumer. */
  readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
  /** Of a dead letter: how often it had been delivered. */
  readonly attempts?: number;
};

export type MessagePart = {
  readonly items: readonly Message[];
  /** Give it as `after` to go on; absent: everything was looked at. A part may be empty. */
  readonly next?: string;
  /** Messages looked at for this part. */
  readonly looked: number;
  /** Messages still to be looked at. */
  readonly left: number;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type MessageDescription = {
  /** Names this message in its log: for links, and for the other calls. */
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  /** The topic it was sent to, where that is another one: of a dead letter. */
  readonly originTopic?: string;
  readonly brokerSet: string;
  readonly queueId: number;
  /** Absent: no queue shows it yet, or ever. */
  readonly offset?: number;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  readonly type: string;
  /** As it was sent. */
  readonly bodyBytes: number;
  /** Of a delayed message: when it was due as it was sent. */
  readonly dueMs?: number;
  readonly liteTopic?: string;
  /** Of a dead letter: delivered as often as allowed, or given up by its consumer. */
  readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
  /** Of a dead letter: how often it had been delivered. */
  readonly attempts?: number;
  /** The sender's own. */
  readonly properties: Readonly<Record<string, string>>;
  /** The body, where it is UTF-8 text. */
  readonly text?: string;
  /** The body, where it is not. */
  readonly base64?: string;
  /** What of the body is hidden from who asks, as the topic’s `bodyMask` says; `*`: all of it. */
  readonly masked?: string;
  /** The body is longer than what is given of it. */
  readonly cut: boolean;
  /** The body decompressed. */
  readonly plainBytes: number;
  /** How the body was sent: identity, gzip, zlib, zstd, lz4, other or unreadable. */
  readonly encoding: string;
  readonly bornHost: string;
  /** When its sender made it; 0: it did not say. */
  readonly bornMs: number;
  readonly traceContext: string;
};

export type MessageLife = {
  readonly events: readonly {
    readonly atMs: number;
    readonly kind:
      | 'stored'
      | 'cameOver'
      | 'pending'
      | 'rescheduled'
      | 'checked'
      | 'checksEnded'
      | 'operatorDecided'
      | 'visible'
      | 'dropped'
      | 'delivered'
      | 'renewed'
      | 'timeChanged'
      | 'handedBack'
      | 'clientGone'
      | 'setAside'
      | 'passedOver'
      | 'kept'
      | 'acknowledged'
      | 'deadLettered'
      | 'replayed'
      | 'resent'
      | 'moved'
      | 'handedOver'
      | 'groupDeleted'
      | 'expired';
    /** Log position of the record that says so. */
    readonly position: number;
    /** Absent: no group is concerned; empty: it is gone. */
    readonly group?: string;
    readonly clientId?: string;
    readonly attempt?: number;
    /** Until when it is invisible, or when it is due. */
    readonly untilMs?: number;
    readonly topic: string;
    readonly queueId: number;
    readonly offset: number;
    /** The operator who decided. */
    readonly who?: string;
  }[];
  /** Log position up to which decisions are known; a moment behind the end. */
  readonly indexedTo: number;
  /** More was decided than is told. */
  readonly cut: boolean;
};

export type MessageWhy = {
  /** The first step that fails; `consumed`: none does. */
  readonly verdict:
    | 'topic'
    | 'route'
    | 'visible'
    | 'notPaused'
    | 'subscription'
    | 'filter'
    | 'position'
    | 'lane'
    | 'delivered'
    | 'inFlight'
    | 'alive'
    | 'consumed';
  /** The same in a sentence. */
  readonly text: string;
  readonly steps: readonly {
    readonly step:
      | 'topic'
      | 'route'
      | 'visible'
      | 'notPaused'
      | 'subscription'
      | 'filter'
      | 'position'
      | 'lane'
      | 'delivered'
      | 'inFlight'
      | 'alive'
      | 'consumed';
    readonly ok: boolean;
    readonly text: string;
  }[];
};

export type GroupLanes = {
  readonly items: readonly {
    readonly brokerSet: string;
    readonly topic: string;
    readonly queueId: number;
    readonly messageGroup: string;
    readonly offset: number;
    /** The message that the others wait for, as /messages knows it. */
    readonly id: string;
    readonly messageId: string;
    readonly attempt: number;
    /** Holds it; empty: it waits for its next attempt. */
    readonly clientId: string;
    readonly untilMs: number;
    readonly storedMs: number;
    readonly inFlight: number;
    /** Known to wait behind it. */
    readonly waiting: number;
  }[];
  readonly total: number;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type Client = {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  /** A proxy holds a Telemetry stream of it: it can be asked something. */
  readonly streaming: boolean;
  /** `idle`: for ten minutes it neither sent, asked for nor acknowledged anything. `refused`: calls of it were refused in the last ten minutes. `otherFilter`: members of its group subscribe to one topic with different filters. */
  readonly marks: readonly ('idle' | 'refused' | 'otherFilter')[];
  /** Since it last sent, asked for or acknowledged something. Absent: no proxy has told. */
  readonly idleMs?: number;
  /** Calls that were refused in the last ten minutes, the last ones first. */
  readonly refusals: readonly {
    readonly method: string;
    /** As the protocol of the clients names it. */
    readonly code: string;
    readonly count: number;
    /** Since the last of them. */
    readonly agoMs: number;
  }[];
  readonly brokerSets: readonly string[];
  readonly groups: readonly {
    /** Empty when the group is gone. */
    readonly group: string;
    readonly subscriptions: readonly {
      readonly topic: string;
      readonly filter: 'tag' | 'sql';
      readonly expression: string;
    }[];
  }[];
  /** Topics it said it sends to. */
  readonly producesTo: readonly string[];
};

export type ClientPage = {
  readonly items: readonly Client[];
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type GroupMoves = {
  readonly items: readonly {
    readonly id: string;
    readonly atMs: number;
    readonly who: string;
    readonly topic: string;
    /** The move that this one took back. */
    readonly undoes?: string;
    readonly undone: boolean;
    readonly queues: readonly {
      readonly brokerSet: string;
      readonly topic: string;
      readonly queueId: number;
      /** Absent: it had not begun. */
      readonly before?: number;
      readonly after: number;
    }[];
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type GroupLagHistory = {
  readonly points: readonly {
    readonly atMs: number;
    /** Messages not done yet. */
    readonly lag: number;
    /** When the oldest of them was stored. */
    readonly oldestMs?: number;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type DeadLetterGroups = {
  readonly items: readonly {
    readonly group: string;
    readonly topic: string;
    /** Dead letters that are kept. */
    readonly messages: number;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type DeadLetter = {
  /** Names this message in its log: for links, and for the other calls. */
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  /** The topic it was sent to, where that is another one: of a dead letter. */
  readonly originTopic?: string;
  readonly brokerSet: string;
  readonly queueId: number;
  /** Absent: no queue shows it yet, or ever. */
  readonly offset?: number;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  readonly type: string;
  /** As it was sent. */
  readonly bodyBytes: number;
  /** Of a delayed message: when it was due as it was sent. */
  readonly dueMs?: number;
  readonly liteTopic?: string;
  /** Of a dead letter: delivered as often as allowed, or given up by its consumer. */
  readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
  /** Of a dead letter: how often it had been delivered. */
  readonly attempts?: number;
  /** The last time it was given another chance. */
  readonly replayed?: { readonly atMs: number; readonly who: string; readonly mode: 'toGroup' | 'toTopic' };
};

export type DeadLetterPart = {
  readonly items: readonly DeadLetter[];
  /** Give it as `after` to go on; absent: everything was looked at. A part may be empty. */
  readonly next?: string;
  readonly looked: number;
  /** Dead letters still to be looked at. */
  readonly left: number;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type DeadLetterCounts = {
  /** Of the newest so many. */
  readonly counted: number;
  /** These are all. */
  readonly complete: boolean;
  readonly byCause: readonly { readonly cause: string; readonly messages: number }[];
  readonly byAge: readonly {
    /** Younger than this, and not counted in the entry before; 0: older. */
    readonly ageMs: number;
    readonly messages: number;
  }[];
  readonly byTopic: readonly { readonly topic: string; readonly messages: number }[];
  /** Of them, were given another chance. */
  readonly replayed: number;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type DeadLetterReplay = {
  /** `id`s of dead letters. */
  readonly ids: readonly string[];
};

export type DeadLetterReplayResult = {
  /** What this is called in the log. */
  readonly replay: string;
  readonly items: readonly {
    readonly id: string;
    readonly outcome: 'replayed' | 'gone' | 'open' | 'orderly' | 'notALetter';
  }[];
};

export type DeadLetterResend = {
  /** `id` of the dead letter. */
  readonly id: string;
  /** Its new body; it stays as it was without. */
  readonly text?: string;
  /** The same, of a body that is no text. */
  readonly base64?: string;
  readonly tag?: string;
  readonly keys?: readonly string[];
  /** All of them. */
  readonly properties?: Readonly<Record<string, string>>;
};

export type DeadLetterResent = {
  readonly replay: string;
  readonly messageId: string;
  readonly queueId: number;
  readonly offset: number;
};

export type ReplayOrder = {
  /** Why it became one. */
  readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
  /** The topic it was sent to. */
  readonly originTopic?: string;
  /** Became one at this time or later. */
  readonly fromMs?: number;
  /** Became one before this time. */
  readonly toMs?: number;
  /** Messages a second. */
  readonly perSecond: number;
  /** What the group alone can not get again (it is orderly, or the place of the message has expired) is sent to its topic: all groups of it get it. */
  readonly toTopic?: boolean;
};

export type Replay = {
  readonly id: string;
  readonly group: string;
  readonly who: string;
  readonly startedMs: number;
  readonly endedMs?: number;
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly perSecond: number;
  readonly replayed: number;
  /** Sent to their topics. */
  readonly resent: number;
  /** Left as they are, by the reason. */
  readonly left: Readonly<Record<string, number>>;
  readonly detail?: string;
};

export type ReplayList = { readonly items: readonly Replay[] };

export type BackupDraft = {
  /** Only this one; absent: all of them. */
  readonly brokerSet?: string;
};

export type BackupBegun = {
  /** The time at which it was begun, as 20261130T040000Z; the same for all broker sets. */
  readonly id: string;
  readonly brokerSets: readonly string[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type Backup = {
  /** The time at which it was begun, as 20261130T040000Z; the same for all broker sets. */
  readonly id: string;
  /** Wall time in ms since 1970. */
  readonly takenMs: number;
  readonly tookMs: number;
  /** Of all its files. */
  readonly bytes: number;
  /** What of them no earlier backup held. */
  readonly newBytes: number;
  readonly epoch: number;
  /** Log position up to which all records are in it. */
  readonly end: number;
  /** Time of the last record in it. */
  readonly lastMs: number;
  readonly topics: number;
  readonly groups: number;
  /** The release that made it. */
  readonly release: string;
  /** The data folder that it was made of. */
  readonly member: string;
};

export type BackupJob = {
  readonly kind: 'backup' | 'verification';
  /** The time at which it was begun, as 20261130T040000Z; the same for all broker sets. */
  readonly id: string;
  readonly startedMs: number;
  /** Absent: it goes on. */
  readonly endedMs?: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  /** Sent to the bucket. */
  readonly newBytes: number;
  /** Why it failed; absent: it did not. */
  readonly failure?: string;
  /** Of a verification: what is missing or damaged. */
  readonly problems: readonly string[];
};

export type Backups = {
  readonly brokerSets: readonly {
    readonly brokerSet: string;
    /** Newest first. */
    readonly backups: readonly Backup[];
    readonly job?: BackupJob;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type Problem = {
  /** A URN that names the kind of problem. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What was wrong and what is allowed. */
  readonly detail: string;
  readonly code:
    | 'BAD_REQUEST'
    | 'CLIENT_ID_REQUIRED'
    | 'UNRECOGNIZED_CLIENT_TYPE'
    | 'ILLEGAL_TOPIC'
    | 'ILLEGAL_CONSUMER_GROUP'
    | 'ILLEGAL_LITE_TOPIC'
    | 'ILLEGAL_MESSAGE_TAG'
    | 'ILLEGAL_MESSAGE_KEY'
    | 'ILLEGAL_MESSAGE_GROUP'
    | 'ILLEGAL_MESSAGE_PROPERTY_KEY'
    | 'ILLEGAL_MESSAGE_ID'
    | 'ILLEGAL_FILTER_EXPRESSION'
    | 'ILLEGAL_INVISIBLE_TIME'
    | 'ILLEGAL_DELIVERY_TIME'
    | 'ILLEGAL_POLLING_TIME'
    | 'ILLEGAL_OFFSET'
    | 'INVALID_RECEIPT_HANDLE'
    | 'INVALID_TRANSACTION_ID'
    | 'MESSAGE_TYPE_CONFLICT'
    | 'MESSAGE_CORRUPTED'
    | 'MESSAGE_TOO_LARGE'
    | 'MESSAGE_BODY_EMPTY'
    | 'MESSAGE_PROPERTIES_TOO_LARGE'
    | 'UNAUTHORIZED'
    | 'FORBIDDEN'
    | 'TOPIC_NOT_FOUND'
    | 'CONSUMER_GROUP_NOT_FOUND'
    | 'MESSAGE_NOT_FOUND'
    | 'OFFSET_NOT_FOUND'
    | 'NOT_FOUND'
    | 'ALREADY_EXISTS'
    | 'UNSUPPORTED'
    | 'LITE_TOPIC_QUOTA_EXCEEDED'
    | 'LITE_SUBSCRIPTION_QUOTA_EXCEEDED'
    | 'TOO_MANY_REQUESTS'
    | 'TIMEOUT'
    | 'UNAVAILABLE'
    | 'NOT_LEADER'
    | 'STALE_LAYOUT'
    | 'CONFLICT'
    | 'STORAGE_FULL'
    | 'CANCELLED'
    | 'CONFIG'
    | 'DATA_FOLDER'
    | 'METADATA_MISMATCH'
    | 'CORRUPT_RECORD'
    | 'DISK_FAILED'
    | 'INTERNAL';
  /** Which sentence `detail` is, to be said in another language. Absent: none that has a name. */
  readonly sentence?:
    | 'logIn'
    | 'loginEnded'
    | 'wrongLogin'
    | 'wrongLoginsTooMany'
    | 'wrongLoginsFromAddress'
    | 'codeNeeded'
    | 'codeWrong'
    | 'codesTooMany'
    | 'secondFactorNeeded'
    | 'secondFactorStays'
    | 'secondFactorNotBegun'
    | 'secondFactorOther'
    | 'notSuper'
    | 'mayNot'
    | 'textHidden'
    | 'mayNotFrom'
    | 'tokenMayNot'
    | 'tokenNotSuper'
    | 'csrfMissing'
    | 'otherOrigin'
    | 'hostNotAllowed'
    | 'noUsersHere'
    | 'usersNotKnownYet'
    | 'loggedOutHere'
    | 'logoutsTooMany'
    | 'logoutTokenUsed'
    | 'noProvider'
    | 'noLoginBegun'
    | 'providerRefused'
    | 'providerLoginUnusable'
    | 'providerAway'
    | 'noRole'
    | 'secretIsProviders'
    | 'unknownField'
    | 'unknownParameter'
    | 'fieldMissing'
    | 'nothingToChange'
    | 'mustBeOneOf'
    | 'mustBeWhole'
    | 'mustBeWholeFrom'
    | 'mustBeAtLeast'
    | 'mustBeAtMost'
    | 'mustBeType'
    | 'tooFewCharacters'
    | 'tooManyCharacters'
    | 'tooFewItems'
    | 'tooManyItems'
    | 'mustMatch'
    | 'bodyTooLarge'
    | 'notJson'
    | 'queryNotUtf8'
    | 'wholeNumberBetween'
    | 'valueWithoutProperty'
    | 'topicMissingInQuery'
    | 'fromAfterTo'
    | 'timeHasPassed'
    | 'noNext'
    | 'noMessageId'
    | 'nameBlank'
    | 'nameTooLong'
    | 'nameCharacters'
    | 'nameReserved'
    | 'innerTopic'
    | 'auditTopicStays'
    | 'noTopic'
    | 'topicGone'
    | 'noGroup'
    | 'groupGone'
    | 'topicExists'
    | 'groupExists'
    | 'tooManyTopics'
    | 'tooManyGroups'
    | 'readBelowWrite'
    | 'writeQueuesFirst'
    | 'queuesNotConsumed'
    | 'queuesNotTold'
    | 'retryMultiplier'
    | 'groupBound'
    | 'noLiteTopicOf'
    | 'notLite'
    | 'deletionFinal'
    | 'nameTakenAgain'
    | 'deletionsTooMany'
    | 'noQueue'
    | 'brokerSetWithQueue'
    | 'moveNotKnown'
    | 'moveTakenBack'
    | 'pauseBoth'
    | 'messageGone'
    | 'delayedGone'
    | 'transactionGone'
    | 'noLetter'
    | 'letterUnderWay'
    | 'replaysTooMany'
    | 'replayUnderWay'
    | 'noReplay'
    | 'noBody'
    | 'bodyOfMessageTooLarge'
    | 'textOrBase64'
    | 'notBase64'
    | 'tagWithBar'
    | 'controlCharacters'
    | 'onlySpace'
    | 'notUnicode'
    | 'propertyReserved'
    | 'clientAway'
    | 'alertsOff'
    | 'notSilenced'
    | 'nothingRecorded'
    | 'auditFull'
    | 'noUser'
    | 'userExists'
    | 'usersTooMany'
    | 'lastSuper'
    | 'policiesChanged'
    | 'userName'
    | 'secretForm'
    | 'policyResource'
    | 'policyAddress'
    | 'policyAction'
    | 'policyAddresses'
    | 'policiesTooMany'
    | 'questionResource'
    | 'quotaForm'
    | 'tokenGone'
    | 'tokenNamed'
    | 'tokensTooMany'
    | 'tokenName'
    | 'tokenLife'
    | 'tokenScopeTooLong'
    | 'tokenScopeDenies'
    | 'tokenChangesNone'
    | 'tokenScopeLong'
    | 'tokensLong'
    | 'userDisabled'
    | 'tokenEndsById'
    | 'tokensNotKept'
    | 'secretChanged'
    | 'ownChangesTooMany'
    | 'secondFactorOldKey'
    | 'secretNotOpened'
    | 'noSet'
    | 'noSets'
    | 'oneSetHere'
    | 'lastServing'
    | 'setRemoved'
    | 'setServes'
    | 'setHolds'
    | 'nobodyLeads'
    | 'noMember'
    | 'memberAmbiguous'
    | 'memberInSync'
    | 'memberLeads'
    | 'noAnswer'
    | 'notReached'
    | 'leadsNoMore'
    | 'nameServiceAway'
    | 'metadataClosed'
    | 'metadataEmptied'
    | 'metadataUnread'
    | 'changesNotHeard'
    | 'changedMeanwhile'
    | 'setSilent'
    | 'processStops'
    | 'quotaUsedUp'
    | 'backupsOff'
    | 'unexpected';
  /** What stands in the sentence, by name. */
  readonly params?: Readonly<Record<string, string>>;
};

export type Login = {
  /** Name of the user: its access key. */
  readonly user: string;
  readonly secret: string;
  /** Of the user’s second factor, or a recovery code of it. */
  readonly code?: string;
};

export type SecondFactorBegun = {
  /** For the app, in base32. It is not shown again. */
  readonly secretKey: string;
  /** The same as otpauth://, for a QR code. */
  readonly secretUri: string;
  /** To be brought back with a first code, within ten minutes. */
  readonly setupToken: string;
};

export type SecondFactorFirst = {
  /** Name of the user: its access key. */
  readonly user: string;
  readonly secret: string;
  /** Of the user’s second factor, or a recovery code of it. */
  readonly code: string;
  readonly setupToken: string;
};

export type SecondFactorSet = {
  /** Each logs in once where the app is lost. They are not shown again. */
  readonly recoveryCodes: readonly string[];
};

export type OidcLogin = {
  /** An ID token of the identity provider, or a JWT of it. */
  readonly idToken: string;
};

export type OidcLogout = { readonly logout_token: string };

export type Token = {
  readonly token: string;
  /** Until when it is good. */
  readonly untilMs: number;
};

export type OwnSecret = {
  /** The one that is good now. */
  readonly secret: string;
};

export type OwnSecretChanged = {
  /** The secret that was made. It is not shown again. */
  readonly secret: string;
  readonly csrfToken: string;
  /** Until when the session is good; it is prolonged while it is used. */
  readonly untilMs: number;
};

export type Session = {
  /** Whether anybody has to log in. */
  readonly login: boolean;
  /** Who is logged in; absent: nobody. */
  readonly user?: string;
  /** Whether it may do everything. */
  readonly super?: boolean;
  /** Whether its logins need a code besides the secret. */
  readonly secondFactor?: boolean;
  /** For the header x-csrf-token of what changes something. */
  readonly csrfToken?: string;
  /** Until when the session is good; it is prolonged while it is used. */
  readonly untilMs?: number;
  /** Absent: there is no identity provider. */
  readonly oidc?: {
    /** The identity provider that people may log in by. */
    readonly issuer: string;
    /** The client for its device flow; absent: there is none. */
    readonly deviceClientId?: string;
  };
};

export type Policy = {
  /** `Topic:`, `Group:`, `Cluster:` or `Namespace:` with a name, a `prefix*` or `*`; or `*`. */
  readonly resource: string;
  readonly actions: readonly ('all' | 'pub' | 'sub' | 'create' | 'update' | 'delete' | 'get' | 'list')[];
  /** allow if absent; deny wins where two tie. */
  readonly decision?: 'allow' | 'deny';
  /** Addresses or blocks like 10.0.0.0/8; none: from anywhere. */
  readonly sourceIps?: readonly string[];
  /** Default ones count where no custom one matches. */
  readonly policy?: 'custom' | 'default';
};

export type Policies = {
  readonly policies: readonly Policy[];
  /** What they are until now: where somebody else has changed them meanwhile, nothing is. Absent: whatever they are. */
  readonly before?: readonly Policy[];
  /** Topics that the user may send to. */
  readonly produce?: readonly string[];
  /** Topics that the user may receive from, as which consumer group. */
  readonly consume?: readonly {
    /** A name, a `prefix*` or `*`. */
    readonly topics: string;
    /** A name, a `prefix*` or `*`. */
    readonly group: string;
  }[];
  /** Consumer groups as which the user may read the audit log, the topic rmq_sys_audit_log. */
  readonly audit?: readonly string[];
};

export type User = {
  /** Letters, digits, "_", ".", "@" and "-": its access key. */
  readonly name: string;
  /** A super user may do everything. */
  readonly kind: 'super' | 'normal';
  /** Whether it is let in. */
  readonly enabled: boolean;
  /** What is left out has no limit. */
  readonly quota?: {
    /** Requests, on each proxy. */
    readonly requestsPerSecond?: number;
    /** Bytes of requests, on each proxy. */
    readonly bytesPerSecond?: number;
  };
  /** Whether a login needs a code besides the secret. */
  readonly secondFactor: boolean;
  /** The key that its secret is sealed under. */
  readonly keyId: string;
  /** When it was made. */
  readonly createdMs: number;
  readonly policies: readonly Policy[];
};

export type NewUser = {
  /** Letters, digits, "_", ".", "@" and "-": its access key. */
  readonly name: string;
  /** A super user may do everything. */
  readonly kind: 'super' | 'normal';
  /** Whether it is let in. */
  readonly enabled: boolean;
  /** What is left out has no limit. */
  readonly quota?: {
    /** Requests, on each proxy. */
    readonly requestsPerSecond?: number;
    /** Bytes of requests, on each proxy. */
    readonly bytesPerSecond?: number;
  };
  /** Whether a login needs a code besides the secret. */
  readonly secondFactor: boolean;
  /** The key that its secret is sealed under. */
  readonly keyId: string;
  /** When it was made. */
  readonly createdMs: number;
  readonly policies: readonly Policy[];
  /** The secret that was made. It is not shown again. */
  readonly secret?: string;
};

export type UserPage = {
  readonly items: readonly User[];
  /** How many match, on all pages. */
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
};

export type ApiTokenDraft = {
  /** What it is for. */
  readonly name: string;
  /** For how long it is good. */
  readonly days?: number;
  /** What it may do at most, of what its user may; each allows. Absent: all that its user may. */
  readonly policies?: readonly Policy[];
};

export type ApiToken = {
  /** By which it is ended. */
  readonly id: string;
  /** What it is for. */
  readonly name: string;
  readonly createdMs: number;
  /** Until when it is good. */
  readonly untilMs: number;
  /** What it may do at most; absent: all that its user may. */
  readonly policies?: readonly Policy[];
};

export type NewApiToken = {
  /** By which it is ended. */
  readonly id: string;
  /** What it is for. */
  readonly name: string;
  readonly createdMs: number;
  /** Until when it is good. */
  readonly untilMs: number;
  /** What it may do at most; absent: all that its user may. */
  readonly policies?: readonly Policy[];
  /** For `Authorization: Bearer`. It is not shown again. */
  readonly token: string;
};

export type ApiTokens = { readonly items: readonly ApiToken[] };

export type AuditRecord = {
  /** Rises with each entry of this process. */
  readonly id: number;
  /** ISO 8601. */
  readonly time: string;
  readonly requestId?: string;
  /** Absent: nobody who is known. */
  readonly user?: string;
  readonly how: 'token' | 'apiToken' | 'session' | 'signature' | 'oidc' | 'kubernetes' | 'none';
  /** Which one of the user, where it was done by one. */
  readonly apiToken?: string;
  /** The address. */
  readonly from: string;
  /** Of the REST API by its operationId, of clients by the method’s name. */
  readonly operation: string;
  /** What the path names. */
  readonly target?: {};
  readonly query?: {};
  /** What was asked for, without secrets. */
  readonly change?: {};
  /** What was there, where that is known. */
  readonly before?: {};
  /** What was answered, without secrets. */
  readonly after?: {};
  readonly status?: number;
  /** Messages that were shown or exported. */
  readonly given?: number;
  /** Of them, with a body that was hidden from who asked, or a part of it. */
  readonly masked?: number;
  readonly decision: 'done' | 'failed' | 'refused';
  /** Why it was refused, or ended before its end. */
  readonly reason?: string;
  /** Entries before this one that were too many to be recorded. */
  readonly unrecorded?: number;
};

export type AuditPage = {
  readonly items: readonly AuditRecord[];
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
};

export type UserDraft = {
  /** Letters, digits, "_", ".", "@" and "-": its access key. */
  readonly name: string;
  /** A super user may do everything. */
  readonly kind?: 'super' | 'normal';
  /** 8 to 256 visible ASCII characters; absent: one is made. */
  readonly secret?: string;
  /** What is left out has no limit. */
  readonly quota?: {
    /** Requests, on each proxy. */
    readonly requestsPerSecond?: number;
    /** Bytes of requests, on each proxy. */
    readonly bytesPerSecond?: number;
  };
  readonly policies?: readonly Policy[];
  /** Topics that the user may send to. */
  readonly produce?: readonly string[];
  /** Topics that the user may receive from, as which consumer group. */
  readonly consume?: readonly {
    /** A name, a `prefix*` or `*`. */
    readonly topics: string;
    /** A name, a `prefix*` or `*`. */
    readonly group: string;
  }[];
  /** Consumer groups as which the user may read the audit log, the topic rmq_sys_audit_log. */
  readonly audit?: readonly string[];
};

export type UserChange = {
  /** A super user may do everything. */
  readonly kind?: 'super' | 'normal';
  /** Whether it is let in. */
  readonly enabled?: boolean;
  /** 8 to 256 visible ASCII characters. */
  readonly secret?: string;
  /** A secret is made, and shown in the answer only. */
  readonly newSecret?: true;
  /** The same secret, under the newest key of the key file. */
  readonly reseal?: true;
  /** What is left out has no limit. */
  readonly quota?: {
    /** Requests, on each proxy. */
    readonly requestsPerSecond?: number;
    /** Bytes of requests, on each proxy. */
    readonly bytesPerSecond?: number;
  };
};

export type AccessQuestion = {
  /** Letters, digits, "_", ".", "@" and "-": its access key. */
  readonly user: string;
  readonly action: 'all' | 'pub' | 'sub' | 'create' | 'update' | 'delete' | 'get' | 'list';
  /** `Topic:orders`, `Group:billing` or `Cluster:DefaultCluster`. */
  readonly resource: string;
  /** The address it comes from; absent: not known. */
  readonly from?: string;
};

export type AccessAnswer = {
  /** The decision. */
  readonly allowed: boolean;
  readonly why: string;
  readonly policy?: Policy;
};

export type Health = { readonly status: 'ok' };

export type BrokerSets = { readonly brokerSets: readonly BrokerSet[] };

export type BrokerSet = {
  readonly name: string;
  /** protected: any one member can be lost. noSpare: with one less, no messages are taken. singleCopy: one member has all. notServing: too few members are in sync. noLeader: nobody leads. */
  readonly protection: 'protected' | 'noSpare' | 'singleCopy' | 'notServing' | 'noLeader' | 'takenOut';
  /** The same in words, with what it waits for. */
  readonly says: string;
  /** Rises with each leader. */
  readonly epoch: number;
  /** The member that leads; absent: nobody does. */
  readonly leader?: string;
  /** How many members must have a message for it to be acknowledged. */
  readonly quorum: number;
  /** It takes new messages. */
  readonly writable: boolean;
  readonly stage: 'joining' | 'serving' | 'draining' | 'gone';
  /** How many members it is to have; absent: its leader does not say. */
  readonly membersWanted?: number;
  /** What is not as it should be, though nothing is lost by it now. */
  readonly warnings: readonly string[];
  readonly members: readonly {
    readonly member: string;
    readonly address: string;
    /** False: it copies the log, to become a member. */
    readonly counts: boolean;
    readonly leads: boolean;
    /** It has all that is acknowledged. */
    readonly inSync: boolean;
    readonly role?: 'opening' | 'standing' | 'following' | 'leading' | 'failed';
    /** How it is, in its own words. */
    readonly says?: string;
    readonly epoch?: number;
    /** Where its log ends. */
    readonly appendEnd?: number;
    /** Up to where it is on its disk. */
    readonly durableEnd?: number;
    /** Up to where it is acknowledged. */
    readonly commitEnd?: number;
    /** Behind the leader. */
    readonly lagBytes?: number;
    readonly lagMs?: number;
    /** Why it did not answer. */
    readonly problem?: string;
    /** It may be restarted now: messages go on being taken and delivered meanwhile. */
    readonly mayRestart: boolean;
    /** Why, or why not. */
    readonly restartSays: string;
  }[];
  /** The last time another member took over, and where the time went. */
  readonly lastFailover?: {
    readonly reason: 'start' | 'closed' | 'silent' | 'handedOver';
    readonly epoch: number;
    /** When it was over. */
    readonly atMs: number;
    /** Until the leader was known to be gone. */
    readonly noticeMs: number;
    /** Until enough members had promised. */
    readonly promiseMs: number;
    /** Until it had all that they have. */
    readonly fetchMs: number;
    /** Until the metadata store had it. */
    readonly transactionMs: number;
    /** Until the first record of its term was committed. */
    readonly startRecordMs: number;
    /** Until it decided. */
    readonly foldMs: number;
  };
  /** The newest first, at most 100, as far as members that answer remember them. */
  readonly failovers: readonly {
    /** That took over. */
    readonly member: string;
    readonly reason: 'start' | 'closed' | 'silent' | 'handedOver';
    readonly epoch: number;
    /** When it was over. */
    readonly atMs: number;
    /** Until the leader was known to be gone. */
    readonly noticeMs: number;
    /** Until enough members had promised. */
    readonly promiseMs: number;
    /** Until it had all that they have. */
    readonly fetchMs: number;
    /** Until the metadata store had it. */
    readonly transactionMs: number;
    /** Until the first record of its term was committed. */
    readonly startRecordMs: number;
    /** Until it decided. */
    readonly foldMs: number;
  }[];
};

export type SetStageWanted = { readonly stage: 'serving' | 'draining' };

export type SetStage = { readonly stage: 'joining' | 'serving' | 'draining' };

export type SetRemains = {
  readonly brokerSet: string;
  readonly stage: 'joining' | 'serving' | 'draining' | 'gone';
  /** That some consumer group of their topic is not done with; where a topic has none, all that it keeps. */
  readonly messages: number;
  /** Messages that are not due yet. */
  readonly delayed: number;
  /** Neither committed nor rolled back. */
  readonly transactions: number;
  /** Messages on their way to other broker sets, as this one leaves. */
  readonly onTheirWay: number;
  /** Messages that other broker sets have got from this one, as it leaves. */
  readonly handedOver: number;
  /** What keeps messages from going; absent: nothing. */
  readonly problem?: string;
  readonly topics: readonly { readonly topic: string; readonly messages: number }[];
};

export type SetRemoval = {
  readonly brokerSet: string;
  /** What it held, which nobody receives once it is stopped. */
  readonly held: string;
};

export type Election = {
  /** A member, or its place; absent: whoever is best. */
  readonly to?: string;
};

export type BeyondElection = {
  readonly member: string;
  /** nothingMissing: its word is enough by itself. unclean: what the others had beyond its log is lost. */
  readonly grade: 'nothingMissing' | 'unclean';
  /** So much is known to be in its log; absent: nothing is known of it. */
  readonly from?: number;
  /** When the permission ends, in ms since 1970. */
  readonly untilMs: number;
};

export type Replacement = {
  /** A member, or its place. */
  readonly member: string;
};

export type Adoption = {
  /** Wall time in ms since 1970. */
  readonly untilMs: number;
};

export type LogDamages = {
  readonly damages: readonly {
    /** Log position, in bytes, where it begins. */
    readonly first: number;
    /** And where it ends. */
    readonly end: number;
    /** What was found, with the path of the file. */
    readonly what: string;
  }[];
  /** Stands for this list; given up is what was seen (`seen` of giveUpLost). */
  readonly seen: string;
};

export type Cluster = {
  readonly id: string;
  /** Every broker set has a leader that answers and takes messages. */
  readonly healthy: boolean;
  /** Why it is not healthy. */
  readonly reasons: readonly string[];
  /** What somebody should do though all is well; absent: nothing. */
  readonly hints?: readonly string[];
  readonly topics: number;
  readonly groups: number;
  readonly brokerSets: readonly {
    readonly name: string;
    readonly epoch: number;
    /** host:port of the internal service; absent while nobody leads, empty within one process. */
    readonly leader?: string;
    readonly leaderMember?: string;
    readonly members: readonly {
      readonly member: string;
      /** host:port; empty while it is not there. */
      readonly address: string;
    }[];
    /** How many members must have a record for it to be committed. */
    readonly quorum: number;
    /** gone: in no route; draining: read, not written to. */
    readonly stage: 'joining' | 'serving' | 'draining' | 'gone';
    /** Members that keep up, as the leader says. */
    readonly inSync: readonly string[];
    /** False: takes no new messages. */
    readonly writable: boolean;
    readonly registeredMs: number;
    readonly state?: {
      readonly version: string;
      readonly incarnation: string;
      /** End of the log, in bytes since its beginning. */
      readonly appendEnd: number;
      /** What consumers see ends here. */
      readonly commitEnd: number;
      readonly diskBytes: number;
      readonly freeBytes: number;
      /** Of the log, known to be lost and not given up. */
      readonly lostBytes: number;
      /** Time of the oldest record; 0: there is none. */
      readonly oldestMs: number;
      readonly waitingPolls: number;
      readonly sessions: number;
    };
    readonly problem?: string;
  }[];
};

export type Topic = {
  readonly name: string;
  readonly id: number;
  /** Type of the messages that the topic takes. */
  readonly type: 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';
  /** New messages go to so many queues on each broker set. */
  readonly writeQueues: number;
  /** Consumers are served from so many queues on each broker set. */
  readonly readQueues: number;
  /** Whether messages may be sent to the topic and received from it. */
  readonly permission: 'readWrite' | 'read' | 'write' | 'none';
  /** How long messages are kept, consumed or not; at least a minute. 0, or absent in a new topic: the broker's default. */
  readonly retentionMs?: number;
  /** How many bytes are kept on each broker set; at least 1 MiB. 0, or absent in a new topic: no limit of its own. */
  readonly retentionBytes?: number;
  /** Of a LITE topic: a lite topic that nothing is sent to for so long is removed; at least 15 minutes. 0, or absent: never. */
  readonly liteExpirationMs?: number;
  /** What of the bodies is shown only to who may `sub` the topic: `*` for all of it, or fields of a JSON body, as `card.number,customer.*`; what is no JSON is then hidden as a whole. Empty, or absent: nothing is hidden. */
  readonly bodyMask?: string;
  /** False while the first message may still decide the type. */
  readonly typeFixed: boolean;
  /** Rises with every change of the queues. */
  readonly layout: number;
  /** An inner topic: dead letters. */
  readonly inner: boolean;
  readonly createdMs: number;
};

export type LiteTopicPage = {
  readonly items: readonly {
    readonly name: string;
    readonly brokerSet: string;
    readonly messages: number;
    readonly bytes: number;
  }[];
  /** `after` of the next page; absent: that was all. */
  readonly next?: string;
};

export type LiteTopicDescription = {
  readonly name: string;
  readonly topic: string;
  /** One, but for what lies on its old home after a broker set was added. */
  readonly places: readonly {
    readonly brokerSet: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
    readonly bytes: number;
    /** When its newest message came; 0: it holds none. */
    readonly lastMs: number;
    readonly groups: readonly {
      readonly group: string;
      /** All below is done. Absent: the group has not begun here. */
      readonly committed?: number;
      /** Messages not done yet. */
      readonly lag: number;
      readonly inFlight: number;
      /** Client ids. */
      readonly subscribers: readonly string[];
    }[];
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type TopicPage = {
  readonly items: readonly Topic[];
  /** How many match, on all pages. */
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
};

export type TopicDraft = {
  /** Letters, digits, "%", "|", "-" and "_". */
  readonly name: string;
  /** Type of the messages that the topic takes. */
  readonly type?: 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';
  /** New messages go to so many queues on each broker set. */
  readonly writeQueues?: number;
  /** Consumers are served from so many queues on each broker set. */
  readonly readQueues?: number;
  /** Whether messages may be sent to the topic and received from it. */
  readonly permission?: 'readWrite' | 'read' | 'write' | 'none';
  /** How long messages are kept, consumed or not; at least a minute. 0, or absent in a new topic: the broker's default. */
  readonly retentionMs?: number;
  /** How many bytes are kept on each broker set; at least 1 MiB. 0, or absent in a new topic: no limit of its own. */
  readonly retentionBytes?: number;
  /** Of a LITE topic: a lite topic that nothing is sent to for so long is removed; at least 15 minutes. 0, or absent: never. */
  readonly liteExpirationMs?: number;
  /** What of the bodies is shown only to who may `sub` the topic: `*` for all of it, or fields of a JSON body, as `card.number,customer.*`; what is no JSON is then hidden as a whole. Empty, or absent: nothing is hidden. */
  readonly bodyMask?: string;
};

export type TopicChange = {
  /** New messages go to so many queues on each broker set. */
  readonly writeQueues?: number;
  /** Consumers are served from so many queues on each broker set. */
  readonly readQueues?: number;
  /** Whether messages may be sent to the topic and received from it. */
  readonly permission?: 'readWrite' | 'read' | 'write' | 'none';
  /** How long messages are kept, consumed or not; at least a minute. 0, or absent in a new topic: the broker's default. */
  readonly retentionMs?: number;
  /** How many bytes are kept on each broker set; at least 1 MiB. 0, or absent in a new topic: no limit of its own. */
  readonly retentionBytes?: number;
  /** Of a LITE topic: a lite topic that nothing is sent to for so long is removed; at least 15 minutes. 0, or absent: never. */
  readonly liteExpirationMs?: number;
  /** What of the bodies is shown only to who may `sub` the topic: `*` for all of it, or fields of a JSON body, as `card.number,customer.*`; what is no JSON is then hidden as a whole. Empty, or absent: nothing is hidden. */
  readonly bodyMask?: string;
};

export type TopicDescription = {
  readonly name: string;
  readonly id: number;
  /** Type of the messages that the topic takes. */
  readonly type: 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';
  /** New messages go to so many queues on each broker set. */
  readonly writeQueues: number;
  /** Consumers are served from so many queues on each broker set. */
  readonly readQueues: number;
  /** Whether messages may be sent to the topic and received from it. */
  readonly permission: 'readWrite' | 'read' | 'write' | 'none';
  /** How long messages are kept, consumed or not; at least a minute. 0, or absent in a new topic: the broker's default. */
  readonly retentionMs?: number;
  /** How many bytes are kept on each broker set; at least 1 MiB. 0, or absent in a new topic: no limit of its own. */
  readonly retentionBytes?: number;
  /** Of a LITE topic: a lite topic that nothing is sent to for so long is removed; at least 15 minutes. 0, or absent: never. */
  readonly liteExpirationMs?: number;
  /** What of the bodies is shown only to who may `sub` the topic: `*` for all of it, or fields of a JSON body, as `card.number,customer.*`; what is no JSON is then hidden as a whole. Empty, or absent: nothing is hidden. */
  readonly bodyMask?: string;
  /** False while the first message may still decide the type. */
  readonly typeFixed: boolean;
  /** Rises with every change of the queues. */
  readonly layout: number;
  /** An inner topic: dead letters. */
  readonly inner: boolean;
  readonly createdMs: number;
  /** What the messages take in the logs. */
  readonly bytes: number;
  /** Offsets between first and next, over all queues. */
  readonly messages: number;
  /** Messages that some consumer group of the topic is not done with; where it has none, all. */
  readonly unread: number;
  readonly queues: readonly {
    readonly brokerSet: string;
    readonly queueId: number;
    /** The first one kept. */
    readonly minOffset: number;
    /** The one the next message gets. */
    readonly maxOffset: number;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type Delayed = {
  /** As its sender got it: the recall handle, or the transaction id. */
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  readonly brokerSet: string;
  readonly messageId: string;
  readonly tag: string;
  readonly storedMs: number;
  /** What it takes in the log. */
  readonly bytes: number;
  /** When it is delivered. */
  readonly dueMs: number;
};

export type DelayedPage = {
  readonly items: readonly Delayed[];
  /** How many there are, of the topic or of all. */
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type DelayedChange = {
  /** When to deliver it. */
  readonly dueMs: number;
};

export type Transaction = {
  /** As its sender got it: the recall handle, or the transaction id. */
  readonly id: string;
  /** Empty when the topic is gone. */
  readonly topic: string;
  readonly brokerSet: string;
  readonly messageId: string;
  readonly tag: string;
  readonly storedMs: number;
  /** What it takes in the log. */
  readonly bytes: number;
  /** How often a producer was asked what became of it. */
  readonly checks: number;
  /** 0: never. */
  readonly lastCheckMs: number;
  readonly nextCheckMs: number;
  /** Asked about as often as allowed: nobody is asked any more. */
  readonly parked: boolean;
};

export type TransactionPage = {
  readonly items: readonly Transaction[];
  /** How many there are, of the topic or of all. */
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type TransactionDecision = {
  /** Who decides; else the caller's address. */
  readonly who?: string;
};

export type TransactionAudits = {
  readonly items: readonly {
    readonly atMs: number;
    readonly who: string;
    readonly resolution: 'commit' | 'rollback';
    readonly topic: string;
    readonly brokerSet: string;
    /** Where the half message stands in the log. */
    readonly position: number;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type Group = {
  readonly name: string;
  readonly id: number;
  /** Consume in order within each message group: one batch of it is in flight at a time. */
  readonly fifo: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax: number;
  /** How long a message waits after each failed delivery. */
  readonly retryPolicy:
    | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
    | {
        readonly kind: 'customized';
        /** The last one repeats. */
        readonly nextMs: readonly number[];
      };
  /** Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, else at the end. */
  readonly start: { readonly at: 'auto' | 'first' | 'end' } | { readonly at: 'time'; readonly timeMs: number };
  /** Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all. */
  readonly priorityFactor?: number;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: {
    /** The LITE topic. It can not be changed later. */
    readonly topic: string;
    /** A lite topic has one subscriber in the group: the newest evicts the one before. */
    readonly exclusive?: boolean;
    /** Members get all lite topics of the topic without subscribing to any. */
    readonly wildcard?: boolean;
    /** Lite topics that one client may subscribe to. Default: 2000. */
    readonly clientQuota?: number;
    /** Lite topics with something ready that are remembered for a client. Default: 400. */
    readonly eventsMax?: number;
    /** After an eviction the group begins the lite topic anew at its first message. */
    readonly resetOnEviction?: boolean;
    /** After an unsubscription the group begins the lite topic anew at its first message. */
    readonly resetOnUnsubscribe?: boolean;
  };
  /** Nothing is handed out before this time; absent: the group is not paused. */
  readonly pausedUntilMs?: number;
  readonly createdMs: number;
};

export type GroupItem = {
  readonly name: string;
  readonly id: number;
  /** Consume in order within each message group: one batch of it is in flight at a time. */
  readonly fifo: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax: number;
  /** How long a message waits after each failed delivery. */
  readonly retryPolicy:
    | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
    | {
        readonly kind: 'customized';
        /** The last one repeats. */
        readonly nextMs: readonly number[];
      };
  /** Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, else at the end. */
  readonly start: { readonly at: 'auto' | 'first' | 'end' } | { readonly at: 'time'; readonly timeMs: number };
  /** Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all. */
  readonly priorityFactor?: number;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: {
    /** The LITE topic. It can not be changed later. */
    readonly topic: string;
    /** A lite topic has one subscriber in the group: the newest evicts the one before. */
    readonly exclusive?: boolean;
    /** Members get all lite topics of the topic without subscribing to any. */
    readonly wildcard?: boolean;
    /** Lite topics that one client may subscribe to. Default: 2000. */
    readonly clientQuota?: number;
    /** Lite topics with something ready that are remembered for a client. Default: 400. */
    readonly eventsMax?: number;
    /** After an eviction the group begins the lite topic anew at its first message. */
    readonly resetOnEviction?: boolean;
    /** After an unsubscription the group begins the lite topic anew at its first message. */
    readonly resetOnUnsubscribe?: boolean;
  };
  /** Nothing is handed out before this time; absent: the group is not paused. */
  readonly pausedUntilMs?: number;
  readonly createdMs: number;
  /** Where it was asked for. */
  readonly progress?: {
    /** Messages not done yet. */
    readonly lag: number;
    /** Messages delivered and not acknowledged yet. */
    readonly inFlight: number;
    /** Messages that may be delivered now. */
    readonly ready: number;
    /** Clients that consume. */
    readonly members: number;
    /** That its members read, or it has progress in. */
    readonly topics: readonly {
      readonly topic: string;
      /** Messages of it not done yet. */
      readonly lag: number;
    }[];
    /** Broker sets that did not answer and are not counted. */
    readonly missing: readonly string[];
  };
};

export type GroupPage = {
  readonly items: readonly GroupItem[];
  /** How many match, on all pages. */
  readonly total: number;
  /** Give it as `after` to get the next page; absent on the last one. */
  readonly next?: string;
};

export type GroupDraft = {
  /** Letters, digits, "%", "|", "-" and "_". */
  readonly name: string;
  /** Consume in order within each message group: one batch of it is in flight at a time. */
  readonly fifo?: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax?: number;
  /** How long a message waits after each failed delivery. */
  readonly retryPolicy?:
    | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
    | {
        readonly kind: 'customized';
        /** The last one repeats. */
        readonly nextMs: readonly number[];
      };
  /** Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, else at the end. */
  readonly start?: { readonly at: 'auto' | 'first' | 'end' } | { readonly at: 'time'; readonly timeMs: number };
  /** Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all. */
  readonly priorityFactor?: number;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: {
    /** The LITE topic. It can not be changed later. */
    readonly topic: string;
    /** A lite topic has one subscriber in the group: the newest evicts the one before. */
    readonly exclusive?: boolean;
    /** Members get all lite topics of the topic without subscribing to any. */
    readonly wildcard?: boolean;
    /** Lite topics that one client may subscribe to. Default: 2000. */
    readonly clientQuota?: number;
    /** Lite topics with something ready that are remembered for a client. Default: 400. */
    readonly eventsMax?: number;
    /** After an eviction the group begins the lite topic anew at its first message. */
    readonly resetOnEviction?: boolean;
    /** After an unsubscription the group begins the lite topic anew at its first message. */
    readonly resetOnUnsubscribe?: boolean;
  };
};

export type GroupChange = {
  /** Consume in order within each message group: one batch of it is in flight at a time. */
  readonly fifo?: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax?: number;
  /** How long a message waits after each failed delivery. */
  readonly retryPolicy?:
    | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
    | {
        readonly kind: 'customized';
        /** The last one repeats. */
        readonly nextMs: readonly number[];
      };
  /** Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, else at the end. */
  readonly start?: { readonly at: 'auto' | 'first' | 'end' } | { readonly at: 'time'; readonly timeMs: number };
  /** Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all. */
  readonly priorityFactor?: number;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: {
    /** The LITE topic. It can not be changed later. */
    readonly topic: string;
    /** A lite topic has one subscriber in the group: the newest evicts the one before. */
    readonly exclusive?: boolean;
    /** Members get all lite topics of the topic without subscribing to any. */
    readonly wildcard?: boolean;
    /** Lite topics that one client may subscribe to. Default: 2000. */
    readonly clientQuota?: number;
    /** Lite topics with something ready that are remembered for a client. Default: 400. */
    readonly eventsMax?: number;
    /** After an eviction the group begins the lite topic anew at its first message. */
    readonly resetOnEviction?: boolean;
    /** After an unsubscription the group begins the lite topic anew at its first message. */
    readonly resetOnUnsubscribe?: boolean;
  };
};

export type GroupPause = {
  /** Until this time. */
  readonly untilMs?: number;
  /** For so long from now. Neither: until the group is resumed. */
  readonly forMs?: number;
} | null;

export type GroupReset = {
  /** Letters, digits, "%", "|", "-" and "_". */
  readonly topic: string;
  /** Absent: all of them. */
  readonly brokerSet?: string;
  /** Absent: every queue of the topic. */
  readonly queueId?: number;
  /** Where the group goes on. Outside the queue: its nearest end. */
  readonly to:
    | { readonly at: 'first' | 'end' }
    | { readonly at: 'time'; readonly timeMs: number }
    | { readonly at: 'offset'; readonly offset: number }
    | {
        readonly at: 'group';
        /** Letters, digits, "%", "|", "-" and "_". */
        readonly group: string;
      };
  /** Nothing is changed: the answer says what would be. */
  readonly preview?: boolean;
};

export type GroupResetResult = {
  /** Names the move, for who wants to take it back; absent in a preview. */
  readonly move?: string;
  readonly queues: readonly {
    readonly brokerSet: string;
    readonly topic: string;
    readonly queueId: number;
    /** All below was done; absent: the group had not begun. */
    readonly before?: number;
    /** What is delivered next. */
    readonly after: number;
  }[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

export type ClientTrial = {
  /** Letters, digits, "%", "|", "-" and "_". */
  readonly group: string;
  /** Letters, digits, "%", "|", "-" and "_". */
  readonly topic: string;
  readonly messageId: string;
};

export type ClientAnswer = {
  /** Of apache.rocketmq.v2.Code; 20000: it went well. */
  readonly code: number;
  readonly message: string;
  /** Thread stacks. */
  readonly text?: string;
};

export type GroupDescription = {
  readonly name: string;
  readonly id: number;
  /** Consume in order within each message group: one batch of it is in flight at a time. */
  readonly fifo: boolean;
  /** How often a message is delivered before it goes to the dead-letter topic. */
  readonly attemptsMax: number;
  /** How long a message waits after each failed delivery. */
  readonly retryPolicy:
    | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
    | {
        readonly kind: 'customized';
        /** The last one repeats. */
        readonly nextMs: readonly number[];
      };
  /** Where the group begins in a queue it has never consumed. auto: at the first message while none has ever expired, else at the end. */
  readonly start: { readonly at: 'auto' | 'first' | 'end' } | { readonly at: 'time'; readonly timeMs: number };
  /** Of a hundred polls on a PRIORITY topic, so many go by priority. Absent: all. */
  readonly priorityFactor?: number;
  /** A group of lite consumers, bound to one LITE topic. */
  readonly lite?: {
    /** The LITE topic. It can not be changed later. */
    readonly topic: string;
    /** A lite topic has one subscriber in the group: the newest evicts the one before. */
    readonly exclusive?: boolean;
    /** Members get all lite topics of the topic without subscribing to any. */
    readonly wildcard?: boolean;
    /** Lite topics that one client may subscribe to. Default: 2000. */
    readonly clientQuota?: number;
    /** Lite topics with something ready that are remembered for a client. Default: 400. */
    readonly eventsMax?: number;
    /** After an eviction the group begins the lite topic anew at its first message. */
    readonly resetOnEviction?: boolean;
    /** After an unsubscription the group begins the lite topic anew at its first message. */
    readonly resetOnUnsubscribe?: boolean;
  };
  /** Nothing is handed out before this time; absent: the group is not paused. */
  readonly pausedUntilMs?: number;
  readonly createdMs: number;
  /** Messages not done yet. */
  readonly lag: number;
  /** Messages handed out and not acknowledged yet. */
  readonly inFlight: number;
  /** Messages that may be handed out now. */
  readonly ready: number;
  /** In a FIFO group: messages kept until their message group's turn comes. */
  readonly blocked: number;
  /** In a FIFO group: message groups that are busy. */
  readonly lanes: number;
  readonly queues: readonly {
    readonly brokerSet: string;
    /** Empty when the topic is gone. */
    readonly topic: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
    /** All below is done. */
    readonly committed: number;
    /** The first offset not looked at yet. */
    readonly frontier: number;
    readonly lag: number;
    readonly inFlight: number;
    readonly ready: number;
    readonly blocked: number;
    readonly lanes: number;
  }[];
  readonly members: readonly {
    readonly clientId: string;
    /** Of its SDK, as it said; empty: it did not. */
    readonly language: string;
    readonly version: string;
    readonly brokerSets: readonly string[];
    readonly subscriptions: readonly {
      readonly topic: string;
      readonly filter: 'tag' | 'sql';
      readonly expression: string;
    }[];
  }[];
  /** What is allowed and seldom meant: members with different filters, say. */
  readonly warnings: readonly string[];
  /** Broker sets that did not answer: what is said of them is left out, and sums are too small. */
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
};

/** What each call of the API takes and answers, by its operation id. */
export interface Operations {
  /** Liveness of this process. For the brokers see the cluster. */
  readonly health: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Health;
  };
  /** The cluster, its broker sets and whether it is healthy. */
  readonly describeCluster: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Cluster;
  };
  /** For an hour, lets brokers bring back topics and groups, with their ids, from what their logs know. For when the metadata was lost or set back to an old backup, and brokers refuse it for that. */
  readonly allowAdoption: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Adoption;
  };
  /** What is known to be lost of the log of a broker set: where, how much, and what was found. */
  readonly listDamage: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: LogDamages;
  };
  /** Gives up what is lost of the log of a broker set, so that consumers pass over it. Until then messages that can not be read are tried again: the files may be brought back from a copy. */
  readonly giveUpLost: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** `seen` of the list that was looked at: where it is another one by now, nothing is given up. */
      readonly seen?: string;
    };
    readonly body: undefined;
    readonly answer: LogDamages;
  };
  /** Forgets the members of a broker set whose disks are lost for good, and its messages with them. The next broker of that name starts with an empty log. Refused while one of the members leads. */
  readonly forgetMembers: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Every broker set as its members tell it: whether it is protected, who leads, and how far each member is behind. */
  readonly listBrokerSets: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: BrokerSets;
  };
  /** One broker set as its members tell it. */
  readonly describeBrokerSet: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: BrokerSet;
  };
  /** Takes a broker set that is draining out of all routes: it may be stopped then. Refused while it holds messages that are not consumed, unless forced; the answer says what it held. */
  readonly removeBrokerSet: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Also while it holds messages, and while nobody leads it. */
      readonly force?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: SetRemoval;
  };
  /** Has the leader hand over to another member that is in sync: the one that is named, or whichever is best. Clients notice nothing. */
  readonly elect: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: Election;
    readonly answer: BrokerSet;
  };
  /** The volume of a member is lost for good: the leader takes it out of the set, and the next one that has copied the log takes its place. */
  readonly replaceMember: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: Replacement;
    readonly answer: BrokerSet;
  };
  /** For when too few members come back: lets one lead alone, whatever the others have. What only they had is lost. The permission ends after five minutes. */
  readonly electBeyond: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: Replacement;
    readonly answer: BeyondElection;
  };
  /** What would be lost with a broker set: messages not consumed, delayed ones, and open transactions. */
  readonly describeRemains: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: SetRemains;
  };
  /** Which routes a broker set is in. draining: new messages go to the others, and what it holds is consumed; messages of a message group go on to it, so that their order holds. serving: as it was; one that was removed takes messages of message groups once those before them are consumed, and is joining until then. */
  readonly setStage: {
    readonly params: {
      /** Name of the broker set; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: SetStageWanted;
    readonly answer: SetStage;
  };
  /** Topics in the order of their names. */
  readonly listTopics: {
    readonly params: undefined;
    readonly query: {
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** Component of the name, any case. */
      readonly contains?: string;
      readonly type?: 'normal' | 'fifo' | 'delay' | 'transaction' | 'priority' | 'lite' | 'mixed';
      /** true: inner topics only, such as dead-letter topics; false: all others. */
      readonly inner?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: TopicPage;
  };
  /** Creates a topic. */
  readonly createTopic: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: TopicDraft;
    readonly answer: Topic;
  };
  /** A topic and the offsets of its queues. */
  readonly describeTopic: {
    readonly params: {
      /** Name of the topic; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: TopicDescription;
  };
  /** Changes the settings given; the others stay. The type of a topic can not be changed. Read queues grow with write queues; to have fewer, lower the write queues, wait until the others are consumed, lower the read queues. */
  readonly updateTopic: {
    readonly params: {
      /** Name of the topic; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: TopicChange;
    readonly answer: Topic;
  };
  /** Deletes a topic with all its messages. It can be restored for a grace time, and nothing stored of it is deleted before that. A new topic of the same name starts empty. */
  readonly deleteTopic: {
    readonly params: {
      /** Name of the topic; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** For good at once: it can not be restored. */
      readonly now?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Lite topics, broker set by broker set and in no order. A page may be short while there are more. */
  readonly listLiteTopics: {
    readonly params: {
      /** Name of the LITE topic; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** How the names begin. */
      readonly prefix?: string;
    };
    readonly body: undefined;
    readonly answer: LiteTopicPage;
  };
  /** A lite topic: its messages, the progress of each group, its subscribers. */
  readonly describeLiteTopic: {
    readonly params: {
      /** Name of the LITE topic; "%" is written %25. */
      readonly name: string;
      /** Name of the lite topic. */
      readonly liteTopic: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: LiteTopicDescription;
  };
  /** Deletes a lite topic with all its messages; its subscribers are notified. */
  readonly deleteLiteTopic: {
    readonly params: {
      /** Name of the LITE topic; "%" is written %25. */
      readonly name: string;
      /** Name of the lite topic. */
      readonly liteTopic: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Topics and consumer groups whose deletion can be taken back, newest first. */
  readonly listDeleted: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: DeletedList;
  };
  /** Takes a deletion back: the topic has its messages again, the consumer group its progress. */
  readonly restoreDeleted: {
    readonly params: {
      readonly kind: 'topic' | 'group';
      /** `id` of the list. */
      readonly id: string;
    };
    readonly query: {
      /** Another one that has the name now is deleted instead, and can be restored in its turn. */
      readonly replace?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Consumer groups in the order of their names. */
  readonly listGroups: {
    readonly params: undefined;
    readonly query: {
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** Component of the name, any case. */
      readonly contains?: string;
      /** With the progress of each group: all leaders are asked. */
      readonly progress?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: GroupPage;
  };
  /** Creates a consumer group. */
  readonly createGroup: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: GroupDraft;
    readonly answer: Group;
  };
  /** A consumer group, its progress in each queue and its members. */
  readonly describeGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: GroupDescription;
  };
  /** Changes the settings given; the others stay. */
  readonly updateGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: GroupChange;
    readonly answer: Group;
  };
  /** Deletes a consumer group with all its progress. It can be restored for a grace time. */
  readonly deleteGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** For good at once: it can not be restored. */
      readonly now?: 'true' | 'false';
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Stops delivery to the group until a time, or until it is resumed. Messages in flight may still be acknowledged. */
  readonly pauseGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: GroupPause;
    readonly answer: Group;
  };
  /** Resumes delivery to the group. */
  readonly resumeGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Group;
  };
  /** Moves the group to another position in a topic. Receipt handles from before have no effect. */
  readonly resetGroup: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: GroupReset;
    readonly answer: GroupResetResult;
  };
  /** How operators moved the group in the last 24 hours, newest first. Each can be taken back. */
  readonly listGroupMoves: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: GroupMoves;
  };
  /** Takes a move of the last 24 hours back: the group goes on where it was before. What was done above that position in the meantime or before is delivered again. */
  readonly undoGroupMove: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
      /** `id` of the move. */
      readonly move: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: GroupResetResult;
  };
  /** How much the group had to do, every two minutes, oldest first: messages, and since when the oldest waited. While nothing waited there are no points. */
  readonly groupLagHistory: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** How far back. */
      readonly hours?: number;
    };
    readonly body: undefined;
    readonly answer: GroupLagHistory;
  };
  /** Asks a client for the stack traces of its threads, where its language has them. */
  readonly askStackTrace: {
    readonly params: {
      /** As `members` of a group show it. */
      readonly clientId: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: ClientAnswer;
  };
  /** Asks a client to reconnect. Only Java and Node.js clients do. */
  readonly askReconnect: {
    readonly params: {
      /** As `members` of a group show it. */
      readonly clientId: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Has a push consumer process one stored message as a test. Nothing is acknowledged. */
  readonly askVerify: {
    readonly params: {
      /** As `members` of a group show it. */
      readonly clientId: string;
    };
    readonly query: undefined;
    readonly body: ClientTrial;
    readonly answer: ClientAnswer;
  };
  /** Delayed messages that are not due yet, the next due first. */
  readonly listDelayed: {
    readonly params: undefined;
    readonly query: {
      /** Only those of this topic. */
      readonly topic?: string;
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** Due at this time or later. */
      readonly fromMs?: number;
      /** Due before this time. */
      readonly toMs?: number;
    };
    readonly body: undefined;
    readonly answer: DelayedPage;
  };
  /** A delayed message that is not due yet. */
  readonly describeDelayed: {
    readonly params: {
      /** The id shown in a list, or the recall handle that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Delayed;
  };
  /** Changes when the message is delivered. A time in the past delivers it at once. */
  readonly rescheduleDelayed: {
    readonly params: {
      /** The id shown in a list, or the recall handle that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: DelayedChange;
    readonly answer: Delayed;
  };
  /** Cancels the message: it is never delivered. */
  readonly cancelDelayed: {
    readonly params: {
      /** The id shown in a list, or the recall handle that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Transactions that are neither committed nor rolled back, oldest first. */
  readonly listTransactions: {
    readonly params: undefined;
    readonly query: {
      /** Only those of this topic. */
      readonly topic?: string;
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
    };
    readonly body: undefined;
    readonly answer: TransactionPage;
  };
  /** Decisions of operators, newest first: the last 1,000 of each broker set. */
  readonly listTransactionAudits: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: TransactionAudits;
  };
  /** A transaction that is neither committed nor rolled back. */
  readonly describeTransaction: {
    readonly params: {
      /** The id of a list, or the transaction id that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Transaction;
  };
  /** Commits in place of the producer: the message is delivered. Who decided is kept. */
  readonly commitTransaction: {
    readonly params: {
      /** The id of a list, or the transaction id that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: TransactionDecision;
    readonly answer: undefined;
  };
  /** Rolls back in place of the producer: the message is dropped. Who decided is kept. */
  readonly rollbackTransaction: {
    readonly params: {
      /** The id of a list, or the transaction id that the sender got. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: TransactionDecision;
    readonly answer: undefined;
  };
  /** Messages of a topic, newest first. One bounded part of the search: `next` goes on where it ended. */
  readonly findMessages: {
    readonly params: undefined;
    readonly query: {
      /** Where to look. With `id` it may be left out: all topics are looked through. */
      readonly topic?: string;
      /** A message id. */
      readonly id?: string;
      /** One of its keys. */
      readonly key?: string;
      /** Its tag. */
      readonly tag?: string;
      /** Its message group. */
      readonly messageGroup?: string;
      /** The name of a user property. */
      readonly property?: string;
      /** And its value. */
      readonly value?: string;
      /** Somewhere in its body, decompressed where it is compressed. */
      readonly text?: string;
      /** Stored at this time or later. */
      readonly fromMs?: number;
      /** Stored before this time. */
      readonly toMs?: number;
      /** Messages to find at most. */
      readonly limit?: number;
      /** `next` of the part before. */
      readonly after?: string;
    };
    readonly body: undefined;
    readonly answer: MessagePart;
  };
  /** The same as a stream of events, until so many were found or everything was looked at. */
  readonly searchMessages: {
    readonly params: undefined;
    readonly query: {
      /** Where to look. With `id` it may be left out: all topics are looked through. */
      readonly topic?: string;
      /** A message id. */
      readonly id?: string;
      /** One of its keys. */
      readonly key?: string;
      /** Its tag. */
      readonly tag?: string;
      /** Its message group. */
      readonly messageGroup?: string;
      /** The name of a user property. */
      readonly property?: string;
      /** And its value. */
      readonly value?: string;
      /** Somewhere in its body, decompressed where it is compressed. */
      readonly text?: string;
      /** Stored at this time or later. */
      readonly fromMs?: number;
      /** Stored before this time. */
      readonly toMs?: number;
      /** Messages to find at most. */
      readonly limit?: number;
      /** `next` of the part before. */
      readonly after?: string;
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** A message with its properties and its body, decompressed where it was compressed. */
  readonly describeMessage: {
    readonly params: {
      /** `id` of a message in a list. */
      readonly id: string;
    };
    readonly query: {
      /** How much of the body. */
      readonly bytes?: number;
    };
    readonly body: undefined;
    readonly answer: MessageDescription;
  };
  /** Everything that was decided on the message, oldest first: each delivery, renewal, acknowledgement, dead letter; for all clients, from the log. */
  readonly describeMessageLife: {
    readonly params: {
      /** `id` of a message in a list. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: MessageLife;
  };
  /** Why a consumer group has not consumed the message: each link of the chain, and the first that fails. */
  readonly whyNotConsumed: {
    readonly params: {
      /** `id` of a message in a list. */
      readonly id: string;
    };
    readonly query: {
      /** The consumer group. */
      readonly group: string;
    };
    readonly body: undefined;
    readonly answer: MessageWhy;
  };
  /** Message groups of an orderly consumer group that are busy, and the message that each waits for: those with most attempts first. */
  readonly listLanes: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Of each broker set. */
      readonly limit?: number;
    };
    readonly body: undefined;
    readonly answer: GroupLanes;
  };
  /** Living clients: what they are, what they consume and send to, and which of them need a look. */
  readonly listClients: {
    readonly params: undefined;
    readonly query: {
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** Part of the client id, any case. */
      readonly contains?: string;
      /** Those alone that have this mark. */
      readonly mark?: 'idle' | 'refused' | 'otherFilter';
    };
    readonly body: undefined;
    readonly answer: ClientPage;
  };
  /** Consumer groups with dead letters, those with most first. The letters are messages of the topic named. */
  readonly listDeadLetters: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: DeadLetterGroups;
  };
  /** Dead letters of a group, newest first. One bounded part: `next` goes on where it ended. */
  readonly listGroupDeadLetters: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Why it became one. */
      readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
      /** The topic it was sent to. */
      readonly originTopic?: string;
      /** Became one at this time or later. */
      readonly fromMs?: number;
      /** Became one before this time. */
      readonly toMs?: number;
      /** Only those that were given another chance, or not. */
      readonly replayed?: 'true' | 'false';
      /** Dead letters to look at. */
      readonly limit?: number;
      /** `next` of the part before. */
      readonly after?: string;
    };
    readonly body: undefined;
    readonly answer: DeadLetterPart;
  };
  /** How many there are by reason, age and topic, of the newest 10,000. */
  readonly countDeadLetters: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Why it became one. */
      readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
      /** The topic it was sent to. */
      readonly originTopic?: string;
      /** Became one at this time or later. */
      readonly fromMs?: number;
      /** Became one before this time. */
      readonly toMs?: number;
    };
    readonly body: undefined;
    readonly answer: DeadLetterCounts;
  };
  /** Gives dead letters to their group again, and to no other: each is due at once where it stands in its queue, with all its attempts before it. */
  readonly replayDeadLetters: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: DeadLetterReplay;
    readonly answer: DeadLetterReplayResult;
  };
  /** Sends a dead letter to its topic again, as a message with an id of its own, edited where fields are given: every group of the topic gets it. */
  readonly resendDeadLetter: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: DeadLetterResend;
    readonly answer: DeadLetterResent;
  };
  /** Replays all dead letters that match and were not replayed yet, so many a second, newest first. It goes on in this process until it is done or stopped, or whoever ordered it may do so no more. */
  readonly startReplay: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: ReplayOrder;
    readonly answer: Replay;
  };
  /** Replays under way in this process, and those that have ended, newest first. */
  readonly listReplays: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: ReplayList;
  };
  /** Stops a replay. What it has replayed stays so. */
  readonly stopReplay: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
      /** `id` of the replay. */
      readonly replay: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** All dead letters that match with their bodies, newest first, a JSON object a line. */
  readonly exportDeadLetters: {
    readonly params: {
      /** Name of the consumer group; "%" is written %25. */
      readonly name: string;
    };
    readonly query: {
      /** Why it became one. */
      readonly cause?: 'unknown' | 'attemptsUsed' | 'givenUp';
      /** The topic it was sent to. */
      readonly originTopic?: string;
      /** Became one at this time or later. */
      readonly fromMs?: number;
      /** Became one before this time. */
      readonly toMs?: number;
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Alerts that fire, the last 1,000 that fired or were over, newest first, and silences. */
  readonly listAlerts: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Alerts;
  };
  /** Nobody is told of this alert for some time; it is shown all the same. */
  readonly silenceAlert: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: AlertSilence;
    readonly answer: Alerts;
  };
  /** Ends a silence. */
  readonly unsilenceAlert: {
    readonly params: {
      /** `key` of the alert. */
      readonly key: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Backups of all broker sets that their bucket holds whole, and those that are being made or looked at. */
  readonly listBackups: {
    readonly params: undefined;
    readonly query: {
      /** So many of each broker set at the most. 0: only what is going on. Absent: 20. */
      readonly max?: number;
    };
    readonly body: undefined;
    readonly answer: Backups;
  };
  /** Begins a backup of all broker sets, or of one. It goes on by itself: `GET /backups` says how far it is, and shows it once it is whole. */
  readonly beginBackup: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: BackupDraft;
    readonly answer: BackupBegun;
  };
  /** Reads all of a backup again, to see whether each byte of it is there. It goes on by itself: `GET /backups` says what was found. */
  readonly verifyBackup: {
    readonly params: {
      /** The time at which it was begun, as 20261130T040000Z; the same for all broker sets. */
      readonly id: string;
    };
    readonly query: undefined;
    readonly body: BackupDraft;
    readonly answer: BackupBegun;
  };
  /** A token for `Authorization: Bearer`, for a user and its secret. */
  readonly login: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: Login;
    readonly answer: Token;
  };
  /** Logs a browser in: the session is a cookie, and what changes something has to say its CSRF token. */
  readonly beginSession: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: Login;
    readonly answer: Session;
  };
  /** Who is logged in, and whether anybody has to be. */
  readonly describeSession: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: Session;
  };
  /** Logs out: the session, or the token that comes with the request, ends at once, in every process. */
  readonly endSession: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Who has logged in gets a new secret, and a new session. The old secret ends at once, and all that was begun with it. */
  readonly changeOwnSecret: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: OwnSecret;
    readonly answer: OwnSecretChanged;
  };
  /** A key for an app that makes codes by the time. Nothing is changed before a first code is brought back. */
  readonly beginSecondFactor: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: Login;
    readonly answer: SecondFactorBegun;
  };
  /** Sets it up, or another one in its place, by a first code of the app: from then on each login needs a code. */
  readonly finishSecondFactor: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: SecondFactorFirst;
    readonly answer: SecondFactorSet;
  };
  /** The secret alone is enough to log in again. */
  readonly endSecondFactor: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: Login;
    readonly answer: undefined;
  };
  /** Takes a user’s second factor away, for one who has lost the app and the recovery codes. */
  readonly resetSecondFactor: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Sends a browser to the identity provider, to come back logged in. */
  readonly beginOidcLogin: {
    readonly params: undefined;
    readonly query: {
      /** The page to show then, as /topics. */
      readonly returnTo?: string;
    };
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Where the identity provider sends the browser back to: the session begins. */
  readonly finishOidcLogin: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** A token for `Authorization: Bearer`, for a token of the identity provider. */
  readonly loginOidc: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: OidcLogin;
    readonly answer: Token;
  };
  /** Users in the order of their names, with their policies. */
  readonly listUsers: {
    readonly params: undefined;
    readonly query: {
      /** Items on a page. */
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
      /** Component of the name, any case. */
      readonly contains?: string;
    };
    readonly body: undefined;
    readonly answer: UserPage;
  };
  /** Makes a user. Where no secret is given one is made, and shown in this answer only. */
  readonly createUser: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: UserDraft;
    readonly answer: NewUser;
  };
  /** A user and its policies. */
  readonly describeUser: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: User;
  };
  /** Changes a user. A new secret ends the old one, and all tokens, at once. */
  readonly updateUser: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: UserChange;
    readonly answer: NewUser;
  };
  /** Deletes a user with its policies. It is refused everywhere within a second. */
  readonly deleteUser: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Replaces what a user may do. */
  readonly setPolicies: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: Policies;
    readonly answer: User;
  };
  /** Whether a user may do something, and which policy says so. */
  readonly testAccess: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: AccessQuestion;
    readonly answer: AccessAnswer;
  };
  /** Tokens of a user that are good: their names, and until when. Their texts are shown to nobody again. */
  readonly listTokens: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: ApiTokens;
  };
  /** Makes a token for `Authorization: Bearer`. It is shown in this answer only, and ends with the user’s secret. */
  readonly createToken: {
    readonly params: {
      /** Name of the user; "%" is written %25. */
      readonly name: string;
    };
    readonly query: undefined;
    readonly body: ApiTokenDraft;
    readonly answer: NewApiToken;
  };
  /** Ends a token, in every process. */
  readonly revokeToken: {
    readonly params: { readonly name: string; readonly id: string };
    readonly query: undefined;
    readonly body: undefined;
    readonly answer: undefined;
  };
  /** Who did what: changes, refusals and looks at messages, newest first. */
  readonly listAudit: {
    readonly params: undefined;
    readonly query: {
      readonly limit?: number;
      /** The `next` of the page before. */
      readonly after?: string;
      readonly user?: string;
      readonly operation?: string;
      readonly decision?: 'done' | 'failed' | 'refused';
    };
    readonly body: undefined;
    readonly answer: AuditPage;
  };
  /** Back-channel logout: the identity provider says who has logged out there. Its logins here end, in every process. */
  readonly endOidcSessions: {
    readonly params: undefined;
    readonly query: undefined;
    readonly body: OidcLogout;
    readonly answer: undefined;
  };
}

export const operations = {
  health: ['GET', '/api/v1/health'],
  describeCluster: ['GET', '/api/v1/cluster'],
  allowAdoption: ['POST', '/api/v1/cluster/adoption'],
  listDamage: ['GET', '/api/v1/broker-sets/{name}/damage'],
  giveUpLost: ['DELETE', '/api/v1/broker-sets/{name}/damage'],
  forgetMembers: ['DELETE', '/api/v1/broker-sets/{name}/members'],
  listBrokerSets: ['GET', '/api/v1/broker-sets'],
  describeBrokerSet: ['GET', '/api/v1/broker-sets/{name}'],
  removeBrokerSet: ['DELETE', '/api/v1/broker-sets/{name}'],
  elect: ['POST', '/api/v1/broker-sets/{name}/election'],
  replaceMember: ['POST', '/api/v1/broker-sets/{name}/replacement'],
  electBeyond: ['POST', '/api/v1/broker-sets/{name}/unclean-election'],
  describeRemains: ['GET', '/api/v1/broker-sets/{name}/remains'],
  setStage: ['PUT', '/api/v1/broker-sets/{name}/stage'],
  listTopics: ['GET', '/api/v1/topics'],
  createTopic: ['POST', '/api/v1/topics'],
  describeTopic: ['GET', '/api/v1/topics/{name}'],
  updateTopic: ['PATCH', '/api/v1/topics/{name}'],
  deleteTopic: ['DELETE', '/api/v1/topics/{name}'],
  listLiteTopics: ['GET', '/api/v1/topics/{name}/lite-topics'],
  describeLiteTopic: ['GET', '/api/v1/topics/{name}/lite-topics/{liteTopic}'],
  deleteLiteTopic: ['DELETE', '/api/v1/topics/{name}/lite-topics/{liteTopic}'],
  listDeleted: ['GET', '/api/v1/deleted'],
  restoreDeleted: ['POST', '/api/v1/deleted/{kind}/{id}/restore'],
  listGroups: ['GET', '/api/v1/groups'],
  createGroup: ['POST', '/api/v1/groups'],
  describeGroup: ['GET', '/api/v1/groups/{name}'],
  updateGroup: ['PATCH', '/api/v1/groups/{name}'],
  deleteGroup: ['DELETE', '/api/v1/groups/{name}'],
  pauseGroup: ['POST', '/api/v1/groups/{name}/pause'],
  resumeGroup: ['POST', '/api/v1/groups/{name}/resume'],
  resetGroup: ['POST', '/api/v1/groups/{name}/reset'],
  listGroupMoves: ['GET', '/api/v1/groups/{name}/moves'],
  undoGroupMove: ['POST', '/api/v1/groups/{name}/moves/{move}/undo'],
  groupLagHistory: ['GET', '/api/v1/groups/{name}/lag'],
  askStackTrace: ['POST', '/api/v1/clients/{clientId}/stack-trace'],
  askReconnect: ['POST', '/api/v1/clients/{clientId}/reconnect'],
  askVerify: ['POST', '/api/v1/clients/{clientId}/verify'],
  listDelayed: ['GET', '/api/v1/delayed'],
  describeDelayed: ['GET', '/api/v1/delayed/{id}'],
  rescheduleDelayed: ['PATCH', '/api/v1/delayed/{id}'],
  cancelDelayed: ['DELETE', '/api/v1/delayed/{id}'],
  listTransactions: ['GET', '/api/v1/transactions'],
  listTransactionAudits: ['GET', '/api/v1/transactions/audits'],
  describeTransaction: ['GET', '/api/v1/transactions/{id}'],
  commitTransaction: ['POST', '/api/v1/transactions/{id}/commit'],
  rollbackTransaction: ['POST', '/api/v1/transactions/{id}/rollback'],
  findMessages: ['GET', '/api/v1/messages'],
  searchMessages: ['GET', '/api/v1/messages/search'],
  describeMessage: ['GET', '/api/v1/messages/{id}'],
  describeMessageLife: ['GET', '/api/v1/messages/{id}/life'],
  whyNotConsumed: ['GET', '/api/v1/messages/{id}/why'],
  listLanes: ['GET', '/api/v1/groups/{name}/lanes'],
  listClients: ['GET', '/api/v1/clients'],
  listDeadLetters: ['GET', '/api/v1/dead-letters'],
  listGroupDeadLetters: ['GET', '/api/v1/dead-letters/{name}'],
  countDeadLetters: ['GET', '/api/v1/dead-letters/{name}/counts'],
  replayDeadLetters: ['POST', '/api/v1/dead-letters/{name}/replay'],
  resendDeadLetter: ['POST', '/api/v1/dead-letters/{name}/resend'],
  startReplay: ['POST', '/api/v1/dead-letters/{name}/replays'],
  listReplays: ['GET', '/api/v1/dead-letters/{name}/replays'],
  stopReplay: ['DELETE', '/api/v1/dead-letters/{name}/replays/{replay}'],
  exportDeadLetters: ['GET', '/api/v1/dead-letters/{name}/export'],
  listAlerts: ['GET', '/api/v1/alerts'],
  silenceAlert: ['POST', '/api/v1/alerts/silences'],
  unsilenceAlert: ['DELETE', '/api/v1/alerts/silences/{key}'],
  listBackups: ['GET', '/api/v1/backups'],
  beginBackup: ['POST', '/api/v1/backups'],
  verifyBackup: ['POST', '/api/v1/backups/{id}/verification'],
  login: ['POST', '/api/v1/login'],
  beginSession: ['POST', '/api/v1/session'],
  describeSession: ['GET', '/api/v1/session'],
  endSession: ['DELETE', '/api/v1/session'],
  changeOwnSecret: ['POST', '/api/v1/session/secret'],
  beginSecondFactor: ['POST', '/api/v1/session/second-factor'],
  finishSecondFactor: ['PUT', '/api/v1/session/second-factor'],
  endSecondFactor: ['POST', '/api/v1/session/second-factor/end'],
  resetSecondFactor: ['DELETE', '/api/v1/users/{name}/second-factor'],
  beginOidcLogin: ['GET', '/api/v1/session/oidc'],
  finishOidcLogin: ['GET', '/api/v1/session/oidc/callback'],
  loginOidc: ['POST', '/api/v1/login/oidc'],
  listUsers: ['GET', '/api/v1/users'],
  createUser: ['POST', '/api/v1/users'],
  describeUser: ['GET', '/api/v1/users/{name}'],
  updateUser: ['PATCH', '/api/v1/users/{name}'],
  deleteUser: ['DELETE', '/api/v1/users/{name}'],
  setPolicies: ['PUT', '/api/v1/users/{name}/policies'],
  testAccess: ['POST', '/api/v1/access/test'],
  listTokens: ['GET', '/api/v1/users/{name}/tokens'],
  createToken: ['POST', '/api/v1/users/{name}/tokens'],
  revokeToken: ['DELETE', '/api/v1/users/{name}/tokens/{id}'],
  listAudit: ['GET', '/api/v1/audit'],
  endOidcSessions: ['POST', '/api/v1/session/oidc/logout'],
} as const satisfies Record<keyof Operations, readonly [string, string]>;
