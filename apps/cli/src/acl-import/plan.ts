import type { PolicyView, UserView } from '@cometmq/admin';
import { counted } from '@cometmq/shared';
import { isMap, isSeq } from 'yaml';

import { checkName, isTable, readAcl2, readList, readTables, samePolicy } from './acl2.js';
import type { Imported, ImportedUser, Place } from './imported.js';
import { isPlainAcl, readPlainAcl } from './plain-acl.js';
import { YamlFile } from './yaml-file.js';

/** One thing that is done, or is not. */
export interface Step {
  readonly step: 'user' | 'policy' | 'left out';
  readonly place: Place;
  readonly user: string;
  readonly what: string;
}

/** What has to be asked of the REST API for one user. */
export interface Change {
  readonly name: string;
  /** Undefined: the user is there. */
  readonly create?: ImportedUser;
  /** All that it will have; undefined: they stay. */
  readonly policies?: readonly PolicyView[];
  /** Those that it had when the plan was made: with others nothing is changed. */
  readonly before: readonly PolicyView[];
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly changes: readonly Change[];
}

/** @throws MqError CONFIG, with the line */
export function readFiles(files: readonly { readonly file: string; readonly text: string }[]): Imported {
  const imported: Imported = { users: [], policies: [], leftOut: [] };
  for (const { file, text } of files) {
    if (isTable(text)) {
      readTables(file, text, imported);
      continue;
    }
    const yaml = new YamlFile(file, text);
    if (isSeq(yaml.root)) readList(yaml, yaml.root, imported);
    else {
      if (!isMap(yaml.root)) throw yaml.wrong(yaml.root, 'this is no file of RocketMQ’s ACL');
      const fields = yaml.fields(yaml.root, 'the file');
      if (isPlainAcl(fields)) readPlainAcl(yaml, fields, imported);
      else readAcl2(yaml, fields, imported);
    }
  }
  return imported;
}

/** Nothing that is there is taken away: users keep their secret and their kind, and policies are added to theirs. */
export function planOf({ users, policies, leftOut }: Imported, present: readonly UserView[]): Plan {
  const steps: Step[] = leftOut.map(({ place, subject, why }) => ({
    step: 'left out',
    place,
    user: subject,
    what: why,
  }));
  const changes: Change[] = [];
  const names = new Set([...users.map(({ name }) => name), ...policies.map(({ user }) => user)]);
  for (const name of names) {
    const known = present.find((user) => user.name === name);
    const fresh = users.find((user) => user.name === name);
    const own = policies.filter(({ user }) => user === name).map(({ entry }) => entry);
    const place = fresh?.place ?? own[0]?.place;
    if (place === undefined) continue;
    const why = known ? undefined : fresh ? checkName(name) : `there is no user "${name}", here or in the cluster`;
    if (why !== undefined) {
      steps.push({
        step: 'left out',
        place,
        user: name,
        what: `${why}; with ${counted(own.length, 'policy', 'policies')}`,
      });
      continue;
    }
    if (known?.enabled && fresh?.enabled === false) {
      const what = `the user is there and enabled, disabled in the file: disable it first; with ${counted(own.length, 'policy', 'policies')}`;
      steps.push({ step: 'left out', place, user: name, what });
      continue;
    }
    if (fresh) steps.push({ step: known ? 'left out' : 'user', place, user: name, what: userText(fresh, known) });
    const had = known?.policies ?? [];
    const added = own.filter(({ policy }) => !had.some((one) => samePolicy(one, policy)));
    for (const entry of added) {
      steps.push({ step: 'policy', place: entry.place, user: name, what: policyText(entry.policy) });
    }
    if (known && added.length === 0) continue;
    changes.push({
      name,
      before: had,
      ...(!known && fresh && { create: fresh }),
      ...(added.length > 0 && { policies: [...had, ...added.map(({ policy }) => policy)] }),
    });
  }
  return { steps, changes };
}

function userText({ kind, enabled, secret }: ImportedUser, known: UserView | undefined): string {
  if (!known)
    return `${kind}, ${enabled ? 'enabled' : 'disabled'}, ${secret === undefined ? 'a new secret' : 'the secret of the file'}`;
  const differs = known.kind !== kind || known.enabled !== enabled;
  const is = differs ? `, ${known.kind} and ${known.enabled ? 'enabled' : 'disabled'}` : '';
  return `the user is there: it keeps its secret and stays as it is${is}`;
}

function policyText({ decision, actions, resource, sourceIps, policy }: PolicyView): string {
  const from = sourceIps.length > 0 ? ` from ${sourceIps.join(', ')}` : '';
  return `${decision} ${actions.join(',')} on ${resource}${from}${policy === 'default' ? ', by default' : ''}`;
}
