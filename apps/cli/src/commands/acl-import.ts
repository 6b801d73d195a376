import type { Command } from 'commander';
import type { UserView } from '@cometmq/admin';
import { counted, MqError } from '@cometmq/shared';

import type { Change, Step } from '../acl-import/plan.js';
import { exitCode } from '../exit-codes.js';
import type { View } from '../printer.js';
import { examples, type Act, type Session } from '../session.js';

const fileBytesMax = 16 * 1024 * 1024;

const view: View<Step> = {
  name: ({ user }) => user,
  json: ({ step, place, user, what }) => ({ step, ...place, user, what }),
  columns: [
    { title: 'STEP', value: ({ step }) => step },
    { title: 'FROM', value: ({ place: { file, line } }) => `${file}:${line}` },
    { title: 'USER', value: ({ user }) => user },
    { title: 'WHAT', value: ({ what }) => what },
  ],
};

export function aclImportCommand(acl: Command, act: Act): void {
  const command = acl
    .command('import <files...>')
    .description(
      'Take over users and policies of RocketMQ: its plain_acl.yml, or what mqadmin listUser and listAcl print, also as JSON or YAML. Shows what would be made; --yes makes it.',
    )
    .action(act(importFiles));
  examples(command, 'comet acl import plain_acl.yml', 'comet acl import users.txt acls.txt --yes');
}

async function importFiles(session: Session, files: readonly string[]) {
  // The parser of YAML is loaded by this command only.
  const { readFiles, planOf } = await import('../acl-import/plan.js');
  const imported = readFiles(files.map((file) => ({ file, text: textOf(session, file) })));
  const { steps, changes } = planOf(imported, await session.api().list<UserView>('/users', {}));
  session.printer.list(view, steps);
  const count = (kind: Step['step']): number => steps.filter(({ step }) => step === kind).length;
  const summary = `${counted(count('user'), 'user')} and ${counted(count('policy'), 'policy', 'policies')}`;
  const left = `${count('left out')} left out`;
  if (!session.options.yes) {
    session.note(`nothing was changed: ${summary} would be made, ${left}; add --yes to make them`);
    return exitCode.ok;
  }
  for (const [i, change] of changes.entries()) {
    try {
      await apply(session, change);
    } catch (caught) {
      const { code, message } = MqError.from(caught);
      const done = `${i} of ${counted(changes.length, 'user')} ${i === 1 ? 'is' : 'are'} through; run it again to go on`;
      throw new MqError(code, `user "${change.name}": ${message} (${done})`, { cause: caught });
    }
  }
  session.note(`made ${summary}, ${left}`);
  return exitCode.ok;
}

/** A user that is to be disabled is that before it has any policies. */
async function apply(session: Session, { name, create, policies, before }: Change): Promise<void> {
  const api = session.api();
  const path = `/users/${encodeURIComponent(name)}`;
  if (create) {
    const { kind, secret, enabled } = create;
    await api.make('/users', { name, kind: enabled ? kind : 'normal', ...(secret !== undefined && { secret }) });
    if (!enabled) await api.call('PATCH', path, { kind, enabled });
  }
  if (policies) await api.call('PUT', `${path}/policies`, { policies, before });
}

function textOf({ world }: Session, file: string): string {
  const bytes = world.files.read(file);
  if (!bytes) throw new MqError('CONFIG', `${file}: no such file`);
  if (bytes.byteLength > fileBytesMax) throw new MqError('CONFIG', `${file}: at most 16 MiB are read`);
  return Buffer.from(bytes).toString('utf8');
}
