/**
 * Whose call each one between our own processes is: the role that a caller's certificate must name. A spec goes over all
 * methods of all services and fails for one that is not here.
 */
import { internal } from '@cometmq/proto';
import type { ProcessCallers, ProcessRole } from '@cometmq/rpc';

interface Definition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, { readonly name: string }>>;
}

type Rules<D extends Definition> = { readonly [M in keyof D['methods']]: readonly ProcessRole[] };

const broker: readonly ProcessRole[] = ['broker'];
const proxy: readonly ProcessRole[] = ['proxy'];
const admin: readonly ProcessRole[] = ['dashboard-api'];
const everybody: readonly ProcessRole[] = ['broker', 'proxy', 'dashboard-api'];

const naming: Rules<typeof internal.NamingServiceDefinition> = {
  watch: everybody,
  createTopic: admin,
  ensureTopic: proxy,
  fixTopicType: ['proxy', 'broker'],
  updateTopic: admin,
  deleteTopic: admin,
  createGroup: admin,
  ensureGroup: proxy,
  updateGroup: admin,
  deleteGroup: admin,
  listRetired: admin,
  restore: admin,
  ensureInnerTopic: ['proxy', 'broker'],
  forgetMembers: admin,
  allowAdoption: admin,
  adoptMetadata: broker,
};

const sets: Rules<typeof internal.SetRegistryServiceDefinition> = {
  readSet: ['broker', 'dashboard-api'],
  acquireLeadership: broker,
  renewLeadership: broker,
  resignLeadership: broker,
  changeMembers: broker,
  announceMember: broker,
  withdrawMember: broker,
  setStage: ['broker', 'dashboard-api'],
  electBeyond: admin,
};

const identities: Rules<typeof internal.IdentityServiceDefinition> = {
  watch: ['proxy', 'dashboard-api'],
  // The first admin is made by whoever starts first.
  createUser: ['proxy', 'dashboard-api'],
  updateUser: ['proxy', 'dashboard-api'],
  deleteUser: admin,
  setPolicies: admin,
  revokeToken: admin,
};

const replication: Rules<typeof internal.ReplicationServiceDefinition> = {
  follow: broker,
  askPromise: broker,
  fetch: broker,
  snapshot: broker,
  segmentBytes: broker,
  digest: broker,
  prepareHandOver: broker,
  handOver: ['broker', 'dashboard-api'],
  elect: admin,
  removeMember: admin,
  mayLeave: broker,
  readMessages: proxy,
  takeTransfer: broker,
  status: everybody,
};

const messages: Rules<typeof internal.BrokerServiceDefinition> = {
  exchange: proxy,
  describe: admin,
  listDamage: admin,
  giveUpLost: admin,
  describeGroup: admin,
  describeTopic: admin,
  resetProgress: admin,
  askClient: admin,
  listLiteTopics: admin,
  describeLiteTopic: admin,
  deleteLiteTopic: admin,
  holdSends: admin,
  listDelayed: admin,
  changeDelayed: admin,
  listHalf: admin,
  resolveHalf: admin,
  listAudits: admin,
  replayDeadLetters: admin,
  resendDeadLetter: admin,
  listReplays: admin,
  startBackup: admin,
  verifyBackup: admin,
  listBackups: admin,
  appendAudit: ['proxy', 'dashboard-api'],
};

const inspection: Rules<typeof internal.InspectServiceDefinition> = {
  listClients: admin,
  findMessages: admin,
  readMessage: admin,
  messageLife: admin,
  listLanes: admin,
  lagHistory: admin,
  listMoves: admin,
};

const byPath = new Map<string, readonly ProcessRole[]>();

function add<D extends Definition>({ fullName, methods }: D, rules: Rules<D>): void {
  for (const [name, method] of Object.entries(methods)) {
    byPath.set(`/${fullName}/${method.name}`, (rules as Record<string, readonly ProcessRole[]>)[name] ?? []);
  }
}

add(internal.NamingServiceDefinition, naming);
add(internal.SetRegistryServiceDefinition, sets);
add(internal.IdentityServiceDefinition, identities);
add(internal.ReplicationServiceDefinition, replication);
add(internal.BrokerServiceDefinition, messages);
add(internal.InspectServiceDefinition, inspection);

export const processCallers: ProcessCallers = byPath;
