/**
 * What the API's problems say, as sentences with a name and parameters: whoever shows them in another language translates by the
 * name, and is not left with English words alone. A problem is said by whichever process found it, as text; here it is known
 * again. One that is not known has no name, and is shown as it is.
 *
 * `{where}` is the place of a field, `{count}` and names that end in `Ms` are numbers, everything else is any text without ";".
 */
export const sentences = {
  // Who asks.
  logIn: ['log in: comet login, or POST /api/v1/login for a token'],
  loginEnded: [
    'the token has ended; log in again',
    'the token has ended, or was revoked',
    'the token has ended with its user or its secret; log in again',
    'the token is not of this cluster; log in again',
  ],
  wrongLogin: ['the access key or its secret is wrong, or the user is disabled'],
  wrongLoginsTooMany: ['too many wrong logins; try again in {count} s'],
  wrongLoginsFromAddress: [
    'too many requests with wrong credentials came from this address; try again in a few seconds',
  ],
  codeNeeded: ['user {user} has a second factor: give a code of its app, or a recovery code'],
  codeWrong: ['the code is wrong, or was used before: wait for the next one'],
  codesTooMany: ['too many wrong codes for user {user}; try again in {count} s'],
  secondFactorNeeded: [
    'super user {user} needs a second factor, and has none yet: comet user totp, or the console, sets one up',
  ],
  secondFactorStays: ['super users need a second factor here: set up another one in its place'],
  secondFactorNotBegun: ['user {user} began no second factor in the last ten minutes; begin again'],
  secondFactorOther: ['another second factor was set up meanwhile'],
  notSuper: ['user {user} is no super user'],
  mayNot: ['user {user} may not {actions} on {kind} "{name}"'],
  textHidden: ['user {user} may not sub on topic "{name}": bodies that may be hidden are not searched for a text'],
  mayNotFrom: ['user {user} may not {actions} on {kind} "{name}" from {address}'],
  tokenMayNot: ['token "{token}" of user {user} may not {actions} on {kind} "{name}": it is for {scope}'],
  tokenNotSuper: ['token "{token}" of user {user} has a scope, and is no super user'],
  csrfMissing: ['the header x-csrf-token must hold the token of the session; GET /api/v1/session tells it'],
  otherOrigin: ['changes may not be asked for by pages of another origin'],
  hostNotAllowed: ['this host name is not allowed here; adminHostNames names those that are'],
  noUsersHere: ['there are no users here, and nobody has to log in; --users at the start makes some'],
  usersNotKnownYet: ['users are not known yet: the name service has not told of them; try again'],
  loggedOutHere: ['logged out here; other processes could not be told yet: {why}'],
  logoutsTooMany: ['too many have logged out lately; the token ends with its time'],
  logoutTokenUsed: ['the logout token was used before'],
  noProvider: ['there is no identity provider here; oidcIssuer names one'],
  noLoginBegun: ['no login was begun by this browser in the last ten minutes; begin again'],
  providerRefused: ['the identity provider {issuer} refused the login: {why}'],
  providerLoginUnusable: ["the login by {issuer} can't be used: {why}"],
  providerAway: [
    'the identity provider {issuer} does not answer, or not as it should; users of this cluster log in as ever',
    'the identity provider {issuer} names no keys',
  ],
  noRole: ['no group of {user} has a role here: oidcRoles says which groups have one'],
  secretIsProviders: ['the token is the identity provider’s, and ends there'],
  // What was asked for.
  unknownField: ['{where}: unknown field "{field}"; allowed are {allowed}'],
  unknownParameter: ['{where}: unknown parameter "{field}"; allowed are {allowed}'],
  fieldMissing: ['{where}: {field} is missing'],
  nothingToChange: ['{where}: nothing to change; give at least one field'],
  mustBeOneOf: ['{where}: must be one of {allowed}'],
  mustBeWhole: ['{where}: must be a whole number, {least} to {most}'],
  mustBeWholeFrom: ['{where}: must be a whole number, {least} or more'],
  mustBeAtLeast: ['{where}: must be >= {least}'],
  mustBeAtMost: ['{where}: must be <= {most}'],
  mustBeType: ['{where}: must be {type}'],
  tooFewCharacters: ['{where}: must NOT have fewer than {count} characters'],
  tooManyCharacters: ['{where}: must NOT have more than {count} characters'],
  tooFewItems: ['{where}: must NOT have fewer than {count} items'],
  tooManyItems: ['{where}: must NOT have more than {count} items'],
  mustMatch: ['{where}: must match pattern "{pattern}"'],
  bodyTooLarge: ['the body may have {count} bytes'],
  notJson: ['the body must be application/json'],
  queryNotUtf8: ['query: must be UTF-8, percent-encoded where it is no plain letter'],
  wholeNumberBetween: ['{what} is {value}, must be a whole number from {least} to {most}'],
  valueWithoutProperty: ['query: value goes with property, which names what has it'],
  topicMissingInQuery: ['query: topic is missing; only an id can do without'],
  fromAfterTo: ['fromMs: must not be after toMs; {fromMs} is after {toMs}'],
  timeHasPassed: ['untilMs: {untilMs} has passed; it is {nowMs} now'],
  noNext: [
    'after: must be `next` of the part before',
    '"after" must be the "next" of the page before',
    'after: "{text}" is no `next` of a page before',
  ],
  noMessageId: ['id: must be the `id` of a message in a list'],
  // Names.
  nameBlank: ['topic must not be blank', 'consumer group must not be blank'],
  nameTooLong: [
    'topic name has {count} characters, at most {most} are allowed',
    'consumer group name has {count} characters, at most {most} are allowed',
  ],
  nameCharacters: [
    'topic name "{name}" may hold only letters, digits, "%", "|", "-" and "_"',
    'consumer group name "{name}" may hold only letters, digits, "%", "|", "-" and "_"',
  ],
  nameReserved: ['topic "{name}" is reserved for the system', 'consumer group "{name}" is reserved for the system'],
  innerTopic: ['topic {name} is an inner topic: it is created when it is needed'],
  auditTopicStays: ['topic {name} holds the audit log, and is never deleted'],
  // Topics and groups.
  noTopic: ['there is no topic "{name}"', 'topic {name} does not exist', 'topic {name} does not exist; {help}'],
  topicGone: [
    'there is no topic "{name}" any more',
    'the topic does not exist any more',
    'the topic that it was sent to does not exist any more',
    'the topic of the message was deleted',
  ],
  noGroup: [
    'there is no consumer group "{name}"',
    'consumer group {name} does not exist; create it with: comet group create {name}',
  ],
  groupGone: ['the consumer group does not exist any more'],
  topicExists: ['topic {name} exists already'],
  groupExists: ['consumer group {name} exists already'],
  tooManyTopics: ['there are {count} topics, as many as may be (topicsMax): delete what nobody needs'],
  tooManyGroups: ['there are {count} consumer groups, as many as may be (groupsMax): delete what nobody needs'],
  readBelowWrite: [
    '{read} read queues are fewer than {write} write queues: what is sent to the others could not be consumed. Lower the ' +
      'write queues first',
  ],
  writeQueuesFirst: [
    'messages are still sent to {write} queues: lower the write queues to {read} first; once the queues above are consumed, ' +
      'lower the read queues',
  ],
  queuesNotConsumed: [
    'the queues from {from} on hold messages that are still to be consumed, and could not be any more: {count} in all, ' +
      '{unread} of them in queue {queue} of {set}. Wait until they are consumed or have expired',
  ],
  queuesNotTold: ['broker set {set} does not say whether the queues from {from} on are consumed: {why}'],
  retryMultiplier: ['retry multiplier {value} must be from 1 to {most}'],
  groupBound: ["the group is bound to topic {name}, and can't be bound to another one"],
  noLiteTopicOf: ['topic "{name}" has no lite topic "{lite}"'],
  notLite: ['topic "{name}" is no LITE topic'],
  deletionFinal: ['no deletion of this {kind} can be taken back any more', 'no {kind} had this id'],
  nameTakenAgain: [
    'there is another {kind} "{name}" now; delete that one first, or let it be deleted in the same step, with replace',
  ],
  deletionsTooMany: ['{count} deletions can be taken back yet, as many as may be: delete it for good at once'],
  noQueue: ['topic "{name}" has no queue {queue}; its queues are 0 to {last}'],
  brokerSetWithQueue: ['brokerSet: must be given where one queue is meant'],
  moveNotKnown: ['the group was not moved so in the last 24 hours'],
  moveTakenBack: ['this move was taken back already'],
  pauseBoth: ['body: give untilMs or forMs, or neither for a pause without an end'],
  // Messages.
  messageGone: [
    'the log does not hold this message any more',
    'no message stands at this place of the log, or not any more',
    'no message stands at this place of the log, or not any more; it may have expired',
  ],
  delayedGone: ['the message has been delivered or taken back already'],
  transactionGone: ['the transaction is not open any more'],
  noLetter: ['no dead letter of this group stands at this place'],
  letterUnderWay: ['this dead letter is being sent again already'],
  replaysTooMany: ['{count} replays are under way; stop one, or wait'],
  replayUnderWay: ['dead letters of this group are being replayed; stop that first'],
  noReplay: ['no such replay is under way here'],
  noBody: ['the message has no body; at least 1 byte is needed'],
  bodyOfMessageTooLarge: ['the body has {count} bytes, at most {most} are allowed'],
  textOrBase64: ['body: give text or base64, not both'],
  notBase64: ['base64: must be base64, padded'],
  tagWithBar: ['the tag must not hold "|", which joins tags in filters'],
  controlCharacters: [
    '{what} must not hold control characters',
    '{what}: keys and values must not hold control characters',
  ],
  onlySpace: ['{what} must not be only white space'],
  notUnicode: ['{what} is no valid Unicode', '{what}: keys and values must be valid Unicode'],
  propertyReserved: ['{what}: the name is reserved for the system'],
  // Clients, alerts, audit.
  clientAway: ['no proxy holds an open stream of client "{client}"'],
  alertsOff: ['alerts are not looked for: alertEveryMs is 0'],
  notSilenced: ['this alert is not silenced'],
  nothingRecorded: ['nothing is recorded here'],
  auditFull: ['the audit log takes no more lines now, and nothing is changed unrecorded; try again'],
  // Users and policies.
  noUser: ['there is no user "{name}"', 'there is no user {name}'],
  userExists: ['user {name} exists already'],
  usersTooMany: ['there are {count} users, as many as may be: delete whom nobody needs'],
  lastSuper: ['{name} is the last enabled super user; make another one first'],
  policiesChanged: ['somebody else has changed the policies of {name} meanwhile; try again'],
  userName: ['user "{name}": 1 to {count} letters, digits, "_", ".", "@" and "-" are allowed'],
  secretForm: ['a secret has {least} to {most} visible ASCII characters without spaces'],
  policyResource: [
    'resource "{text}": allowed are Cluster:, Namespace:, Topic: or Group: with a name, a prefix* or *, and *',
  ],
  policyAddress: ['source address "{text}": an IP address or a block like 10.0.0.0/8'],
  policyAction: ['action "{text}": allowed are {allowed}'],
  policyAddresses: ['an entry names at most {count} source addresses'],
  policiesTooMany: ['{count} policy entries; at most {most} are allowed'],
  questionResource: ['the resource of a question is one: no "*" in it'],
  quotaForm: ['a quota is a whole number above 0; leave it out for none'],
  tokenGone: ['the user has no such token, or not any more'],
  tokenNamed: ['the user has a token named "{name}": revoke it first, or take another name'],
  tokensTooMany: ['the user has {count} tokens, as many as may be: revoke those that nobody needs'],
  tokenName: ['the name of a token has 1 to 64 letters, digits, spaces, "_", ".", "@" and "-"'],
  tokenLife: ['a token is good for a year at most'],
  tokenScopeTooLong: ['the scope of a token has {count} entries; at most {most} are allowed'],
  tokenScopeDenies: ['the scope of a token says what it may: each entry allows'],
  tokenChangesNone: ['a token changes no users, secrets or tokens: log in to do that'],
  tokenScopeLong: ['the scope of a token has more than {most} characters of JSON'],
  tokensLong: ['the tokens of the user have scopes that are too long together: revoke some, or say less'],
  userDisabled: ['the user is disabled'],
  tokenEndsById: ['a token is ended with its id: comet user token revoke'],
  tokensNotKept: ['the name service keeps no tokens yet; try again when it is upgraded'],
  secretChanged: ['the secret was changed or sealed again meanwhile; try again'],
  ownChangesTooMany: ['user {user} changes tokens or its secret too often; try again in {count} s'],
  secondFactorOldKey: [
    'the second factor of user {user} is still under the old key, as the name service is of an earlier release; try again ' +
      'when it is upgraded',
  ],
  secretNotOpened: ['the secret can not be opened with the keys of this process; give the user a new one'],
  // Broker sets.
  noSet: ['there is no broker set "{name}"', 'there is no broker set {name}'],
  noSets: ['there is no broker set to ask'],
  oneSetHere: ['this cluster has one broker set, in this process', 'this broker set has one member, in this process'],
  lastServing: ['"{name}" is the only broker set that takes messages: no send would go anywhere'],
  setRemoved: ['broker set "{name}" is removed already'],
  setServes: ['broker set "{name}" still takes messages: drain it first'],
  setHolds: ['broker set "{name}" still holds {what}'],
  nobodyLeads: ['nobody leads {name}', 'nobody leads broker set {name}'],
  noMember: ['"{member}" is no member of {name}; its members are {members}'],
  memberAmbiguous: ['"{member}" is the place of {places}: name one of them in full'],
  memberInSync: ['{member} answers and is in sync: nothing of it is lost'],
  memberLeads: ['{member} leads broker set {name}: stop it first if it is to be given up'],
  // Away, or too busy.
  noAnswer: ['{who} did not answer within {waitMs} ms'],
  notReached: ["the leader of {name} can't be reached"],
  leadsNoMore: ['broker {name} does not lead now'],
  nameServiceAway: ['the name service at {where} is not available: {why}'],
  metadataClosed: ['the metadata takes no changes now; try again'],
  metadataEmptied: ['the metadata store was emptied, replaced or restored: nothing is changed in it'],
  metadataUnread: ['the metadata has not been read yet; try again'],
  changesNotHeard: [
    'the name service does not hear of changes of the metadata now; try again',
    'this process does not hear of changes of users and policies now; try again',
  ],
  changedMeanwhile: [
    'others change the same metadata all the time; try again',
    'others change the same user all the time; try again',
    'broker set {name} changes too often to be written to; try again',
  ],
  setSilent: ['{name} does not say what there is: {why}; try again', 'broker set "{name}" did not answer: {why}'],
  processStops: ['this process stops: ask again'],
  quotaUsedUp: ['user {user} has used up its {count} {what} a second on this node; try again in {waitMs} ms'],
  backupsOff: ['this broker makes no backups'],
  unexpected: ['unexpected failure'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Sentence = keyof typeof sentences;
export const sentenceNames = Object.keys(sentences) as readonly Sentence[];

export interface Said {
  readonly sentence: Sentence;
  readonly params: Readonly<Record<string, string>>;
}

/** Longer ones are not looked at. */
const lengthMax = 1_000;
/** Of a parameter. */
const textLengthMax = 300;

interface Pattern {
  readonly sentence: Sentence;
  /** What stands before, between and behind the parameters. */
  readonly words: readonly string[];
  readonly names: readonly string[];
}

/** Those with the most words of their own first: others may hold for what they say, too. */
const patterns: readonly Pattern[] = Object.entries(sentences)
  .flatMap(([sentence, texts]) => texts.map((text: string) => patternOf(sentence as Sentence, text)))
  .sort((a, b) => ownLength(b) - ownLength(a));

/** Which sentence it is; undefined: none that is known. */
export function saidIn(detail: string): Said | undefined {
  if (detail.length > lengthMax) return undefined;
  for (const pattern of patterns) {
    const params = paramsIn(detail, pattern);
    if (params) return { sentence: pattern.sentence, params };
  }
  return undefined;
}

function ownLength({ words }: Pattern): number {
  return words.reduce((sum, { length }) => sum + length, 0);
}

function patternOf(sentence: Sentence, text: string): Pattern {
  const parts = text.split(/\{(\w+)\}/);
  return { sentence, words: parts.filter((_, at) => at % 2 === 0), names: parts.filter((_, at) => at % 2 === 1) };
}

/**
 * Each parameter ends where the words behind it stand first, and the last one where the text does. No other way is tried: what
 * callers send stands in the text, and who tries all ways can be kept at it for seconds.
 */
function paramsIn(detail: string, { words, names }: Pattern): Said['params'] | undefined {
  const [first = ''] = words;
  if (names.length === 0) return detail === first ? {} : undefined;
  if (!detail.startsWith(first)) return undefined;
  const params = new Map<string, string>();
  let from = first.length;
  for (const [at, name] of names.entries()) {
    const behind = words[at + 1] ?? '';
    const to = at < names.length - 1 ? detail.indexOf(behind, from) : detail.length - behind.length;
    if (to < from || !detail.startsWith(behind, to)) return undefined;
    const value = detail.slice(from, to);
    if (!isLike(name, value) || (params.get(name) ?? value) !== value) return undefined;
    params.set(name, value);
    from = to + behind.length;
  }
  return Object.fromEntries(params);
}

function isLike(name: string, value: string): boolean {
  if (name === 'where') return /^[\w.$-]{1,200}$/.test(value);
  if (name === 'count' || name.endsWith('Ms')) return /^-?\d{1,16}$/.test(value);
  return value.length <= textLengthMax && !value.includes(';');
}
