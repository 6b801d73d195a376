/**
 * Users and policies of RocketMQ's ACL 2.0: as JSON or YAML in the fields of its API (`username`, `subject`, `policies` …),
 * and as the tables that `mqadmin listUser` and `mqadmin listAcl` print.
 */
import type { PolicyView } from '@cometmq/admin';
import { addressBlock, resourceIn, resourceText, userName } from '@cometmq/auth';
import { actions, type Action } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Imported, Place } from './imported.js';
import { keptSecret } from './kept-secret.js';
import type { YamlFile } from './yaml-file.js';

interface UserRow {
  readonly name: string | undefined;
  readonly secret: string | undefined;
  readonly type: string | undefined;
  readonly status: string | undefined;
}
interface EntryRow {
  readonly subject: string | undefined;
  readonly policy: string | undefined;
  readonly resource: string | undefined;
  readonly actions: readonly string[];
  readonly sources: readonly string[];
  readonly decision: string | undefined;
}

/** @throws MqError CONFIG */
export function readAcl2(yaml: YamlFile, fields: ReadonlyMap<string, unknown>, into: Imported): void {
  const lists = { users: fields.get('users'), acls: fields.get('acls') ?? fields.get('policies') };
  if (lists.users === undefined && lists.acls === undefined) {
    throw yaml.wrong(yaml.root, 'neither RocketMQ’s accounts, nor users or acls, stand here');
  }
  readList(yaml, lists.users, into);
  readList(yaml, lists.acls, into);
}

/** Users, policies, or both. @throws MqError CONFIG */
export function readList(yaml: YamlFile, list: unknown, into: Imported): void {
  for (const node of yaml.items(list, 'users and acls')) {
    const fields = yaml.fields(node, 'a user or an acl');
    if (fields.has('subject')) readAcl(yaml, fields, into);
    else readUser(yaml, node, fields, into);
  }
}

function readUser(yaml: YamlFile, node: unknown, fields: ReadonlyMap<string, unknown>, into: Imported): void {
  const of = (name: string): string | undefined => yaml.text(fields.get(name), name);
  const row = { name: of('username'), secret: of('password'), type: of('userType'), status: of('userStatus') };
  addUser(yaml.placeOf(node), row, into);
}

function readAcl(yaml: YamlFile, fields: ReadonlyMap<string, unknown>, into: Imported): void {
  const subject = yaml.text(fields.get('subject'), 'subject');
  for (const policyNode of yaml.items(fields.get('policies'), 'policies')) {
    const policyFields = yaml.fields(policyNode, 'a policy');
    const policy = yaml.text(policyFields.get('policyType'), 'policyType');
    for (const node of yaml.items(policyFields.get('entries'), 'entries')) {
      const entry = yaml.fields(node, 'an entry');
      const of = (name: string): string | undefined => yaml.text(entry.get(name), name);
      // Versions differ in whether several are a list or joined by commas.
      const many = (name: string): readonly string[] => {
        const value = entry.get(name);
        const isOne = typeof value === 'object' && value !== null && !('items' in value);
        const texts = isOne ? [of(name)] : yaml.items(value, name).map((item) => yaml.text(item, name));
        return texts.flatMap((text) => words(text ?? ''));
      };
      addEntry(
        yaml.placeOf(node),
        {
          ...{ subject, policy, resource: of('resource'), decision: of('decision') },
          ...{ actions: many('actions'), sources: many('sourceIps') },
        },
        into,
      );
    }
  }
}

const userTitle = /^#UserName\s/;
const entryTitle = /^#Subject\s/;
/** What mqadmin says besides: how it went, and warnings of its own log. */
const chatter = /success\.?$|^there is no |^RocketMQLog:|^Java HotSpot|^OpenJDK|^\s*$/;

export function isTable(text: string): boolean {
  return /^#(UserName|Subject)\s/m.test(text);
}

/** @throws MqError CONFIG */
export function readTables(file: string, text: string, into: Imported): void {
  let kind: 'users' | 'entries' | undefined;
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const place = { file, line: i + 1 };
    if (userTitle.test(line)) kind = 'users';
    else if (entryTitle.test(line)) kind = 'entries';
    else if (kind !== undefined && !chatter.test(line)) {
      const cells = line.trim().split(/\s{2,}/);
      const cell = (at: number): string | undefined => unlessEmpty(cells[at]);
      if (kind === 'users') {
        if (cells.length < 3 || cells.length > 4)
          throw wrong(place, 'a user is a name, a password, a type and a status');
        addUser(place, { name: cell(0), secret: cell(1), type: cell(2), status: cell(3) }, into);
      } else if (cells.length > 1) {
        if (cells.length !== 6)
          throw wrong(place, 'a policy is a subject, a type, a resource, actions, addresses and a decision');
        addEntry(
          place,
          {
            ...{ subject: cell(0), policy: cell(1), resource: cell(2), decision: cell(5) },
            ...{ actions: words(cell(3) ?? ''), sources: words(cell(4) ?? '') },
          },
          into,
        );
      }
    }
  }
}

function unlessEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === 'null' || text === '' ? undefined : text;
}

function words(text: string): readonly string[] {
  return text
    .replace(/^\[|\]$/g, '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '' && word !== 'null');
}

function addUser(place: Place, { name, secret, type, status }: UserRow, into: Imported): void {
  if (name === undefined) throw wrong(place, 'the user has no username');
  const kind = oneOf(place, 'a userType', type ?? 'Normal', ['super', 'normal']);
  const enabled = oneOf(place, 'a userStatus', status ?? 'enable', ['enable', 'disable']) === 'enable';
  const before = into.users.find((user) => user.name === name);
  if (before) {
    // mqadmin asks each broker, and prints what each says.
    if (before.kind === kind && before.enabled === enabled && (secret === undefined || before.secret === secret))
      return;
    throw wrong(
      place,
      `user "${name}" stands in line ${before.place.line} of ${before.place.file} with another type, status or secret`,
    );
  }
  into.users.push({ place, name, kind, enabled, ...keptSecret(secret, place, name, into) });
}

function addEntry(place: Place, row: EntryRow, into: Imported): void {
  const { subject = '', resource = '' } = row;
  const user = /^User:(.+)$/i.exec(subject)?.[1];
  if (user === undefined) throw wrong(place, 'a subject must be User: with a name');
  const policy = oneOf(place, 'a policyType', row.policy ?? 'Custom', ['custom', 'default']);
  const decision = oneOf(place, 'a decision', row.decision ?? '', ['allow', 'deny']);
  if (row.actions.length === 0) throw wrong(place, 'the policy has no actions');
  try {
    const entry: PolicyView = {
      resource: resourceText(resourceIn(resource)),
      actions: row.actions.map(actionIn),
      decision,
      sourceIps: row.sources.map(blockIn).filter((block) => block !== '*'),
      policy,
    };
    const isKnown = into.policies.some(({ user: of, entry: known }) => of === user && samePolicy(known.policy, entry));
    // `*` beside other addresses is everywhere.
    const everywhere = row.sources.some((source) => blockIn(source) === '*');
    if (!isKnown)
      into.policies.push({ user, entry: { place, policy: everywhere ? { ...entry, sourceIps: [] } : entry } });
  } catch (caught) {
    // Without it, what it denies would be allowed by others.
    if (decision === 'deny') {
      throw wrong(place, 'a Deny can not be left out, and its resource, an action or an address is unknown here');
    }
    // A right that can't be said as it was is no right: with less in it, it could allow more.
    into.leftOut.push({ place, subject: user, why: MqError.from(caught).message });
  }
}

export function samePolicy(a: PolicyView, b: PolicyView): boolean {
  const text = ({ resource, actions: allowed, decision, sourceIps, policy }: PolicyView): string =>
    JSON.stringify([resource, [...allowed].sort(), decision, [...sourceIps].sort(), policy]);
  return text(a) === text(b);
}

function actionIn(text: string): Action {
  const action = actions.find((one) => one === text.toLowerCase());
  if (action) return action;
  throw new MqError('BAD_REQUEST', `action "${text}": allowed are ${actions.join(', ')}`);
}

/** `10.1.*.*` is how ACLs of RocketMQ write 10.1.0.0/16. */
function blockIn(text: string): string {
  if (text === '*') return text;
  const starred = /^((?:\d{1,3}\.){1,3})(?:\*\.?){1,3}$/.exec(text)?.[1];
  const parts = starred?.split('.').filter((part) => part !== '');
  const block = parts ? `${[...parts, 0, 0, 0].slice(0, 4).join('.')}/${parts.length * 8}` : text;
  addressBlock(block);
  return block;
}

function oneOf<const T extends string>(place: Place, what: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === text.toLowerCase());
  if (found) return found;
  throw wrong(place, `${what} is ${allowed.join(' or ')}`);
}

export function checkName(name: string): string | undefined {
  try {
    userName(name);
    return undefined;
  } catch (caught) {
    return MqError.from(caught).message;
  }
}

function wrong({ file, line }: Place, why: string): MqError {
  return new MqError('CONFIG', `${file}:${line}: ${why}`);
}
