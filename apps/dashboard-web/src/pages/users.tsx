import { Button, Code, Group, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMemo, useState } from 'react';

import type { User } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { FormDialog, LossDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Card, Mark } from '../parts/show.js';
import { useWords } from '../text/text.js';
import { listed, PolicyLines, usePolicyLines } from './policy-lines.js';

/** All users, for super users. */
export function Users({ onTokens }: { readonly onTokens: (user: string) => void }) {
  const words = useWords();
  const [making, make] = useDisclosure();
  const [leaving, remove] = useState<User>();
  const [editing, edit] = useState<User>();
  const [secret, showSecret] = useState<{ readonly name: string; readonly secret: string }>();
  const { pages, items, total } = usePages('listUsers', { query: { limit: 200 } });
  const columns = useMemo<Column<User>[]>(
    () => [
      { id: 'name', head: words.user, by: ({ name }) => name, cell: ({ name }) => name },
      {
        ...{ id: 'kind', head: words.type, by: ({ kind }) => kind },
        cell: ({ kind, enabled }) => (
          <Group gap="xs">
            {kind === 'super' && <Mark color="orange">{words.superUser}</Mark>}
            {!enabled && <Mark color="gray">{words.lockedOut}</Mark>}
          </Group>
        ),
      },
      {
        ...{ id: 'policies', head: words.policies },
        cell: ({ policies }) =>
          policies.map(({ resource, actions: allowed, decision }) => (
            <div key={`${resource} ${decision} ${allowed.join()}`}>
              <Code>{`${decision} ${allowed.join(', ')} ${resource}`}</Code>
            </div>
          )),
      },
      { id: 'created', head: words.created, by: (row) => row.createdMs, cell: (row) => <Ago ms={row.createdMs} /> },
      {
        ...{ id: 'actions', head: words.actions },
        cell: (row) => (
          <Group gap="xs" wrap="nowrap">
            {row.kind !== 'super' && (
              <Button size="compact-xs" variant="default" onClick={() => edit(row)}>
                {words.editPolicies}
              </Button>
            )}
            <Button size="compact-xs" variant="default" onClick={() => onTokens(row.name)}>
              {words.tokens}
            </Button>
            <Act
              does="updateUser"
              input={{ params: { name: row.name }, body: { enabled: !row.enabled } }}
              ask={row.enabled ? <Text>{words.lockOutWhat(row.name)}</Text> : undefined}
            >
              {row.enabled ? words.lockOut : words.letIn}
            </Act>
            <Act
              does="updateUser"
              input={{ params: { name: row.name }, body: { newSecret: true } }}
              ask={<Text>{words.newSecretWhat(row.name)}</Text>}
              onDone={({ name, secret: made }) => (made === undefined ? undefined : showSecret({ name, secret: made }))}
            >
              {words.newSecret}
            </Act>
            {row.secondFactor && (
              <Act
                does="resetSecondFactor"
                input={{ params: { name: row.name } }}
                ask={<Text>{words.resetSecondFactorWhat(row.name)}</Text>}
              >
                {words.resetSecondFactor}
              </Act>
            )}
            <Button size="compact-xs" color="red" variant="light" onClick={() => remove(row)}>
              {words.remove}
            </Button>
          </Group>
        ),
      },
    ],
    [words, onTokens],
  );
  return (
    <Card title={words.users}>
      <Group mb="sm">
        <Button onClick={make.open}>{words.createUser}</Button>
      </Group>
      {secret && (
        <Dialog title={words.newSecret} onClose={() => showSecret(undefined)}>
          <SecretOnce user={secret.name} secret={secret.secret} />
        </Dialog>
      )}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ name }) => name}
        label={words.users}
      />
      {making && <CreateUser onClose={make.close} />}
      {editing && <EditPolicies user={editing} onClose={() => edit(undefined)} />}
      {leaving && <DeleteUser name={leaving.name} onClose={() => remove(undefined)} />}
    </Card>
  );
}

export function SecretOnce({ user, secret }: { readonly user: string; readonly secret: string }) {
  const words = useWords();
  return (
    <div role="status">
      <Text>{words.secretOnce(user)}</Text>
      <Code block>{secret}</Code>
    </div>
  );
}

function CreateUser({ onClose }: { readonly onClose: () => void }) {
  const words = useWords();
  const create = useChange('createUser');
  const [name, setName] = useState('');
  const [produce, setProduce] = useState('');
  const [topics, setTopics] = useState('');
  const [group, setGroup] = useState('');
  const body = {
    name,
    ...(listed(produce).length > 0 && { produce: listed(produce) }),
    ...(listed(topics).length > 0 && { consume: listed(topics).map((one) => ({ topics: one, group })) }),
  };
  const { data } = create;
  if (data?.secret !== undefined) {
    return (
      <Dialog title={words.createUser} onClose={onClose}>
        <SecretOnce user={data.name} secret={data.secret} />
        <Group justify="flex-end" mt="sm">
          <Button onClick={onClose}>{words.close}</Button>
        </Group>
      </Dialog>
    );
  }
  return (
    <FormDialog
      {...{ title: words.createUser, onClose, submit: words.create }}
      onSubmit={() => create.mutate({ body })}
      error={create.error}
      busy={create.isPending}
    >
      <TextInput
        label={words.user}
        value={name}
        required
        data-autofocus
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <TextInput label={words.mayProduce} value={produce} onChange={(event) => setProduce(event.currentTarget.value)} />
      <TextInput label={words.mayConsume} value={topics} onChange={(event) => setTopics(event.currentTarget.value)} />
      <TextInput
        label={words.asGroup}
        value={group}
        required={topics !== ''}
        onChange={(event) => setGroup(event.currentTarget.value)}
      />
    </FormDialog>
  );
}

/** All that a user may do, a line each. */
function EditPolicies({ user, onClose }: { readonly user: User; readonly onClose: () => void }) {
  const words = useWords();
  const change = useChange('setPolicies');
  const lines = usePolicyLines(user.policies);
  const { policies } = lines;
  return (
    <FormDialog
      {...{ title: words.policiesOf(user.name), onClose, submit: words.save }}
      onSubmit={() => change.mutate({ params: { name: user.name }, body: { policies } }, { onSuccess: onClose })}
      error={change.error}
      busy={change.isPending}
    >
      <PolicyLines of={lines} placeholder="pub, sub" />
    </FormDialog>
  );
}

function DeleteUser({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const words = useWords();
  const remove = useChange('deleteUser');
  return (
    <LossDialog
      {...{ title: words.deleteUser(name), onClose, name, loss: words.deleteUserLoss }}
      error={remove.error}
      busy={remove.isPending}
      onConfirm={() => remove.mutate({ params: { name } }, { onSuccess: onClose })}
    />
  );
}
