import { Button, Code, Group, NativeSelect, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMemo, useState } from 'react';

import type { AccessQuestion, AuditRecord, User } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog, LossDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Mark, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

const actions: readonly AccessQuestion['action'][] = ['pub', 'sub', 'create', 'update', 'delete', 'get', 'list', 'all'];

/** Users and what they may do, whether one may do something, and what was done. */
export function Access() {
  const words = useWords();
  const session = useApi('describeSession', {}, { everyMs: 60_000 });
  return (
    <Page title={words.access}>
      <Answered of={session}>
        {({ login }) =>
          login ? (
            <>
              <Users />
              <MayItBe />
              <Audit />
            </>
          ) : (
            <Text>{words.noUsers}</Text>
          )
        }
      </Answered>
    </Page>
  );
}

function Users() {
  const words = useWords();
  const [making, make] = useDisclosure();
  const [leaving, remove] = useState<User>();
  const update = useChange('updateUser');
  const { mutate } = update;
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
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => mutate({ params: { name: row.name }, body: { enabled: !row.enabled } })}
            >
              {row.enabled ? words.lockOut : words.letIn}
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => mutate({ params: { name: row.name }, body: { newSecret: true } })}
            >
              {words.newSecret}
            </Button>
            <Button size="compact-xs" color="red" variant="light" onClick={() => remove(row)}>
              {words.remove}
            </Button>
          </Group>
        ),
      },
    ],
    [words, mutate],
  );
  const shown = update.data;
  return (
    <Card title={words.users}>
      <Group mb="sm">
        <Button onClick={make.open}>{words.createUser}</Button>
      </Group>
      <Trouble error={update.error} />
      {shown?.secret !== undefined && <SecretOnce user={shown.name} secret={shown.secret} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ name }) => name}
        label={words.users}
      />
      {making && <CreateUser onClose={make.close} />}
      {leaving && <DeleteUser name={leaving.name} onClose={() => remove(undefined)} />}
    </Card>
  );
}

function SecretOnce({ user, secret }: { readonly user: string; readonly secret: string }) {
  const words = useWords();
  return (
    <div role="status">
      <Text>{words.secretOnce(user)}</Text>
      <Code block>{secret}</Code>
    </div>
  );
}

const listed = (text: string): string[] => text.split(/[\s,]+/).filter((one) => one !== '');

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
  return (
    <FormDialog
      {...{ title: words.createUser, onClose, submit: data ? words.close : words.create }}
      onSubmit={() => (data ? onClose() : create.mutate({ body }))}
      error={create.error}
      busy={create.isPending}
    >
      {data?.secret === undefined ? (
        <>
          <TextInput
            label={words.user}
            value={name}
            required
            data-autofocus
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <TextInput
            label={words.mayProduce}
            value={produce}
            onChange={(event) => setProduce(event.currentTarget.value)}
          />
          <TextInput
            label={words.mayConsume}
            value={topics}
            onChange={(event) => setTopics(event.currentTarget.value)}
          />
          <TextInput
            label={words.asGroup}
            value={group}
            required={topics !== ''}
            onChange={(event) => setGroup(event.currentTarget.value)}
          />
        </>
      ) : (
        <SecretOnce user={data.name} secret={data.secret} />
      )}
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

/** "May this user do that, from there?" */
function MayItBe() {
  const words = useWords();
  const test = useChange('testAccess');
  const [user, setUser] = useState('');
  const [action, setAction] = useState<AccessQuestion['action']>('pub');
  const [resource, setResource] = useState('');
  const [from, setFrom] = useState('');
  return (
    <Card title={words.mayIt}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          test.mutate({ body: { user, action, resource, ...(from !== '' && { from }) } });
        }}
      >
        <Group align="end" mb="sm">
          <TextInput label={words.who} value={user} required onChange={(event) => setUser(event.currentTarget.value)} />
          <NativeSelect
            label={words.action}
            value={action}
            data={[...actions]}
            onChange={(event) => setAction(event.currentTarget.value as AccessQuestion['action'])}
          />
          <TextInput
            label={words.resource}
            placeholder="Topic:orders"
            value={resource}
            required
            onChange={(event) => setResource(event.currentTarget.value)}
          />
          <TextInput label={words.fromAddress} value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
          <Button type="submit" loading={test.isPending}>
            {words.askWhy}
          </Button>
        </Group>
      </form>
      <Trouble error={test.error} />
      {test.data && (
        <Text role="status" fw={600}>
          {`${test.data.allowed ? words.yes : words.no}: ${test.data.why}`}
        </Text>
      )}
    </Card>
  );
}

function Audit() {
  const words = useWords();
  const { pages, items } = usePages('listAudit', { query: { limit: 100 } });
  const columns = useMemo<Column<AuditRecord>[]>(
    () => [
      { id: 'at', head: words.time, by: ({ time }) => time, cell: ({ time }) => <Ago ms={Date.parse(time)} /> },
      { id: 'who', head: words.who, by: ({ user = '' }) => user, cell: ({ user = '' }) => user },
      { id: 'from', head: words.fromAddress, by: ({ from }) => from, cell: ({ from }) => from },
      { id: 'what', head: words.action, by: ({ operation }) => operation, cell: ({ operation }) => operation },
      {
        ...{ id: 'target', head: words.resource },
        cell: ({ target }) => (target ? Object.values(target).map(String).join(' ') : ''),
      },
      {
        ...{ id: 'decision', head: words.decision, by: ({ decision }) => decision },
        cell: ({ decision, reason = '' }) => (
          <Mark color={decision === 'done' ? 'gray' : 'red'}>{[decision, reason].join(' ').trim()}</Mark>
        ),
      },
    ],
    [words],
  );
  return (
    <Card title={words.audit}>
      <PagedTable pages={pages} rows={items} columns={columns} idOf={({ id }) => String(id)} label={words.audit} />
    </Card>
  );
}
