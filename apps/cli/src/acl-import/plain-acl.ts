/**
 * RocketMQ's first ACL, `plain_acl.yml`: accounts with what they may do on topics and groups, by name and by default.
 *
 * A name's own permission hides the default, also where it says less: what it leaves out is denied if the default would
 * allow it. Addresses in these files let callers in without a signature, which nobody gets here, so they are left out.
 */
import type { PolicyView } from '@cometmq/admin';
import { resourceIn } from '@cometmq/auth';

import { keptSecret } from './kept-secret.js';
import type { Imported, Place } from './imported.js';
import type { YamlFile } from './yaml-file.js';

type Right = 'pub' | 'sub';
type Subject = 'topic' | 'group';

const rights: Readonly<Record<string, readonly Right[]>> = {
  DENY: [],
  PUB: ['pub'],
  SUB: ['sub'],
  'PUB|SUB': ['pub', 'sub'],
  'SUB|PUB': ['pub', 'sub'],
};
const all: readonly Right[] = ['pub', 'sub'];
const known = new Set([
  ...['accessKey', 'secretKey', 'whiteRemoteAddress', 'admin'],
  ...['defaultTopicPerm', 'defaultGroupPerm', 'topicPerms', 'groupPerms'],
]);

export function isPlainAcl(fields: ReadonlyMap<string, unknown>): boolean {
  return fields.has('accounts') || fields.has('globalWhiteRemoteAddresses');
}

/** @throws MqError CONFIG */
export function readPlainAcl(yaml: YamlFile, fields: ReadonlyMap<string, unknown>, into: Imported): void {
  for (const [name, node] of fields) {
    if (name === 'accounts') for (const account of yaml.items(node, name)) readAccount(yaml, account, into);
    else if (name === 'globalWhiteRemoteAddresses') {
      for (const item of yaml.items(node, name)) noFreePass(yaml, item, 'everybody', name, into);
      // RocketMQ writes when the file was changed last; nothing hangs on it.
    } else if (name !== 'dataVersion') leave(into, yaml.placeOf(node), '', `${name} is no field that is known`);
  }
}

function readAccount(yaml: YamlFile, node: unknown, into: Imported): void {
  const fields = yaml.fields(node, 'an account');
  const place = yaml.placeOf(node);
  const name = yaml.text(fields.get('accessKey'), 'accessKey');
  if (name === undefined) throw yaml.wrong(node, 'the account has no accessKey');
  if (into.users.some((user) => user.name === name)) throw yaml.wrong(node, `account "${name}" stands here twice`);
  const isAdmin = flag(yaml, fields.get('admin'));
  const secret = keptSecret(yaml.text(fields.get('secretKey'), 'secretKey'), place, name, into);
  into.users.push({ place, name, kind: isAdmin ? 'super' : 'normal', enabled: true, ...secret });
  for (const [field, value] of fields) {
    if (!known.has(field)) leave(into, yaml.placeOf(value), name, `${field} is no field that is known`);
  }
  noFreePass(yaml, fields.get('whiteRemoteAddress'), name, 'whiteRemoteAddress', into);
  if (isAdmin) {
    for (const field of ['topicPerms', 'groupPerms'] as const) {
      if (yaml.items(fields.get(field), field).length === 0) continue;
      leave(into, yaml.placeOf(fields.get(field)), name, `${field}: a super user may do everything`);
    }
    return;
  }
  for (const subject of ['topic', 'group'] as const) readRights(yaml, subject, { name, place, fields }, into);
}

interface Account {
  readonly name: string;
  readonly place: Place;
  readonly fields: ReadonlyMap<string, unknown>;
}

function readRights(yaml: YamlFile, subject: Subject, { name, place, fields }: Account, into: Imported): void {
  const field = subject === 'topic' ? 'defaultTopicPerm' : 'defaultGroupPerm';
  const given = fields.get(field);
  const usual = given === undefined ? [] : rightsIn(yaml, given, yaml.text(given, field) ?? 'DENY');
  const add = (at: Place, ...policies: readonly PolicyView[]): void => {
    for (const policy of policies) into.policies.push({ user: name, entry: { place: at, policy } });
  };
  add(given === undefined ? place : yaml.placeOf(given), ...policiesOf(subject, '*', usual, [], 'default'));
  const list = subject === 'topic' ? 'topicPerms' : 'groupPerms';
  for (const item of yaml.items(fields.get(list), list)) {
    const [resource = '', right = '', ...rest] = (yaml.text(item, `an item of ${list}`) ?? '').split('=');
    if (resource.trim() === '' || rest.length > 0) throw yaml.wrong(item, `an item of ${list} must be name=permission`);
    const own = rightsIn(yaml, item, right);
    const at = yaml.placeOf(item);
    const named = resource.trim();
    if (!isName(named))
      leave(into, at, name, `${list}: "${named}" can be no name of a ${subject}; there are no prefixes here`);
    else add(at, ...policiesOf(subject, named, own, usual, 'custom'));
  }
}

/** @param usual what would be allowed if nothing was said of this name */
function policiesOf(
  subject: Subject,
  name: string,
  own: readonly Right[],
  usual: readonly Right[],
  policy: PolicyView['policy'],
): PolicyView[] {
  const entry = (resource: string, actions: PolicyView['actions'], decision: PolicyView['decision']): PolicyView[] =>
    actions.length === 0 ? [] : [{ resource, actions, decision, sourceIps: [], policy }];
  if (subject === 'topic') {
    return [
      ...entry(`Topic:${name}`, own.length === 0 ? [] : [...own, 'get'], 'allow'),
      ...entry(
        `Topic:${name}`,
        all.filter((one) => usual.includes(one) && !own.includes(one)),
        'deny',
      ),
    ];
  }
  const retries = [`Topic:%RETRY%${name}`, `Topic:%DLQ%${name}`] as const;
  if (own.includes('sub')) {
    return [
      ...entry(`Group:${name}`, ['sub', 'get'], 'allow'),
      ...entry(retries[0], ['pub', 'sub', 'get'], 'allow'),
      ...entry(retries[1], ['sub', 'get'], 'allow'),
    ];
  }
  // Retries belong to the group: a default for topics says nothing of them.
  const denied = policy === 'default' || usual.includes('sub');
  const group = usual.includes('sub') ? entry(`Group:${name}`, ['sub'], 'deny') : [];
  return denied ? [...group, ...retries.flatMap((topic) => entry(topic, ['pub', 'sub'], 'deny'))] : group;
}

function rightsIn(yaml: YamlFile, node: unknown, text: string): readonly Right[] {
  const found = Object.hasOwn(rights, text.trim()) ? rights[text.trim()] : undefined;
  if (!found) throw yaml.wrong(node, `a permission is one of ${Object.keys(rights).join(', ')}`);
  return found;
}

function flag(yaml: YamlFile, node: unknown): boolean {
  const text = (yaml.text(node, 'admin') ?? 'false').toLowerCase();
  if (text !== 'true' && text !== 'false') throw yaml.wrong(node, 'admin must be true or false');
  return text === 'true';
}

function noFreePass(yaml: YamlFile, node: unknown, who: string, field: string, into: Imported): void {
  const address = node === undefined ? undefined : yaml.text(node, field);
  if (address === undefined) return;
  leave(
    into,
    yaml.placeOf(node),
    who,
    `${field} ${address}: nobody is let in for an address; who comes from there must sign`,
  );
}

function isName(text: string): boolean {
  try {
    return resourceIn(`Topic:${text}`).match === 'literal';
  } catch {
    return false;
  }
}

function leave(into: Imported, place: Place, subject: string, why: string): void {
  into.leftOut.push({ place, subject, why });
}
