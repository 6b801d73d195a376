/**
 * What each operation of the API needs, by its id. One that stands here not is for super users alone, and fails a spec. Users
 * and policies are changed by super users only: who could change them could make itself one.
 */
import { ScopedPrincipal, type Principal } from '@cometmq/auth';
import { isSystemTopic, type Action, type ResourceType } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { FastifyRequest } from 'fastify';

/** `open`: to everybody. `known`: to every user. Else throws where the caller may not: `obey` says that it is FORBIDDEN. */
export type Rule = 'open' | 'known' | ((request: FastifyRequest, principal: Principal, clusterName: string) => void);

/** Nothing has looked at it yet: anything may stand there. */
function textIn(part: unknown, field: string): string | undefined {
  const value: unknown =
    typeof part === 'object' && part !== null ? (part as Record<string, unknown>)[field] : undefined;
  return typeof value === 'string' ? value : undefined;
}

const named =
  (type: ResourceType, ...anyOf: Action[]): Rule =>
  (request, principal) => {
    principal.need(anyOf, type, textIn(request.params, 'name') ?? '', request.ip);
  };
const drafted =
  (type: ResourceType): Rule =>
  (request, principal) => {
    principal.need(['create'], type, textIn(request.body, 'name') ?? '', request.ip);
  };
const onCluster =
  (...anyOf: Action[]): Rule =>
  (request, principal, clusterName) =>
    principal.need(anyOf, 'cluster', clusterName, request.ip);

/** Letters that are gone from their queue are sent to their topic where that is asked for, as by `resendDeadLetter`. */
const replay: Rule = (request, principal, clusterName) => {
  const rule = named('group', 'update');
  if (typeof rule === 'function') rule(request, principal, clusterName);
  const { body } = request;
  const toTopic = typeof body === 'object' && body !== null && 'toTopic' in body && body.toTopic !== false;
  if (toTopic) principal.need(['update'], 'cluster', clusterName, request.ip);
};

/** Who may not see what a mask hides may not take it off. */
const topicChange: Rule = (request, principal, clusterName) => {
  const rule = named('topic', 'update');
  if (typeof rule === 'function') rule(request, principal, clusterName);
  const { body } = request;
  if (typeof body !== 'object' || body === null || !('bodyMask' in body)) return;
  principal.need(['sub'], 'topic', textIn(request.params, 'name') ?? '', request.ip);
};

const messages: Rule = (request, principal, clusterName) => {
  const topic = textIn(request.query, 'topic');
  if (topic !== undefined) principal.need(['get'], 'topic', topic, request.ip);
  else principal.need(['get'], 'cluster', clusterName, request.ip);
};

/**
 * A message that was found by another way than its topic's name. @throws MqError FORBIDDEN where it is one of the audit log, and
 * the caller may not read that by name
 */
export function checkTopicOf(request: FastifyRequest, topic: string | undefined): void {
  if (topic === undefined || !isSystemTopic(topic)) return;
  obey((_request, principal) => principal.need(['get'], 'topic', topic, request.ip), request, request.principal, '');
}

export const onlySuper: Rule = (_request, principal) => {
  if (principal.isSuper) return;
  const { name } = principal;
  if (principal instanceof ScopedPrincipal) {
    throw new MqError('UNAUTHORIZED', `token "${principal.token}" of user ${name} has a scope, and is no super user`);
  }
  throw new MqError('UNAUTHORIZED', `user ${name} is no super user`);
};

/** What lasts longer than a token, or gives more than it: by a login alone. */
const byLogin =
  (rule: Rule): Rule =>
  (request, principal, clusterName) => {
    if (typeof rule === 'function') rule(request, principal, clusterName);
    if (!request.login?.api) return;
    throw new MqError('UNAUTHORIZED', 'a token changes no users, secrets or tokens: log in to do that');
  };

/** One's own, by a login and not by one of them; or a super user's, of anybody. */
const ownTokens: Rule = (request, principal, clusterName) => {
  const isOwn = textIn(request.params, 'name') === principal.name && !request.login?.api;
  if (!isOwn && typeof onlySuper === 'function') onlySuper(request, principal, clusterName);
};

/**
 * Clients are told UNAUTHORIZED whether nobody knows them or they may not: so does RocketMQ. The REST API says which.
 *
 * @throws MqError FORBIDDEN: who asks is known, and may not
 */
export function obey(rule: Rule, request: FastifyRequest, principal: Principal, clusterName: string): void {
  if (typeof rule !== 'function') return;
  try {
    rule(request, principal, clusterName);
  } catch (caught) {
    const error = MqError.from(caught);
    throw error.code === 'UNAUTHORIZED' ? new MqError('FORBIDDEN', error.reason) : error;
  }
}

export const rules: Readonly<Record<string, Rule>> = {
  health: 'open',
  login: 'open',
  beginSession: 'open',
  describeSession: 'open',
  endSession: 'open',
  beginOidcLogin: 'open',
  finishOidcLogin: 'open',
  loginOidc: 'open',
  endOidcSessions: 'open',
  // Each says the user and its secret.
  beginSecondFactor: 'open',
  finishSecondFactor: 'open',
  endSecondFactor: 'open',
  resetSecondFactor: byLogin(onlySuper),
  changeOwnSecret: byLogin('known'),
  describeCluster: onCluster('get'),
  allowAdoption: onCluster('update'),
  listDamage: onCluster('get'),
  giveUpLost: onCluster('update'),
  forgetMembers: onCluster('update'),
  // Lists show a user what it may see.
  listTopics: 'known',
  createTopic: drafted('topic'),
  describeTopic: named('topic', 'get'),
  updateTopic: topicChange,
  deleteTopic: named('topic', 'delete'),
  listDeleted: onCluster('get'),
  restoreDeleted: onCluster('update'),
  listLiteTopics: named('topic', 'get'),
  describeLiteTopic: named('topic', 'get'),
  deleteLiteTopic: named('topic', 'update'),
  listGroups: 'known',
  createGroup: drafted('group'),
  describeGroup: named('group', 'get'),
  updateGroup: named('group', 'update'),
  deleteGroup: named('group', 'delete'),
  pauseGroup: named('group', 'update'),
  resumeGroup: named('group', 'update'),
  resetGroup: named('group', 'update'),
  listGroupMoves: named('group', 'get'),
  undoGroupMove: named('group', 'update'),
  groupLagHistory: named('group', 'get'),
  listAlerts: onCluster('get'),
  silenceAlert: onCluster('update'),
  unsilenceAlert: onCluster('update'),
  askStackTrace: onCluster('update'),
  askReconnect: onCluster('update'),
  askVerify: onCluster('update'),
  listDelayed: onCluster('get'),
  describeDelayed: onCluster('get'),
  rescheduleDelayed: onCluster('update'),
  cancelDelayed: onCluster('update'),
  listTransactions: onCluster('get'),
  listTransactionAudits: onCluster('get'),
  describeTransaction: onCluster('get'),
  commitTransaction: onCluster('update'),
  rollbackTransaction: onCluster('update'),
  // By topic where one is named; what is found anywhere is for who may see the cluster.
  findMessages: messages,
  searchMessages: messages,
  describeMessage: onCluster('get'),
  describeMessageLife: onCluster('get'),
  whyNotConsumed: onCluster('get'),
  listLanes: named('group', 'get'),
  listClients: onCluster('get'),
  listDeadLetters: onCluster('get'),
  listGroupDeadLetters: named('group', 'get'),
  countDeadLetters: named('group', 'get'),
  exportDeadLetters: named('group', 'get'),
  replayDeadLetters: named('group', 'update'),
  startReplay: replay,
  listReplays: named('group', 'get'),
  stopReplay: named('group', 'update'),
  // It is a message for all groups of a topic that the caller need not know.
  resendDeadLetter: onCluster('update'),
  listBrokerSets: onCluster('get'),
  describeBrokerSet: onCluster('get'),
  elect: onCluster('update'),
  replaceMember: onCluster('update'),
  electBeyond: onCluster('update'),
  describeRemains: onCluster('get'),
  setStage: onCluster('update'),
  removeBrokerSet: onCluster('update'),
  listBackups: onCluster('get'),
  beginBackup: onCluster('update'),
  verifyBackup: onCluster('update'),
  listAudit: onlySuper,
  listUsers: onlySuper,
  createUser: byLogin(onlySuper),
  describeUser: onlySuper,
  updateUser: byLogin(onlySuper),
  deleteUser: byLogin(onlySuper),
  setPolicies: byLogin(onlySuper),
  testAccess: onlySuper,
  listTokens: ownTokens,
  createToken: byLogin(ownTokens),
  revokeToken: ownTokens,
};

/** What may be done with something shows that it is there. */
export function sees({ principal, ip }: FastifyRequest, type: 'topic' | 'group', name: string): boolean {
  return principal.may(['list', 'get', 'pub', 'sub'], type, name, ip);
}
