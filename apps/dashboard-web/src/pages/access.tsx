import { Button, Code, Group, NativeSelect, PasswordInput, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMemo, useState } from 'react';

import { keepCsrf } from '../api/client.js';
import type { AccessQuestion, AuditRecord, User } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { useSession } from '../api/use-session.js';
import { Act } from '../parts/act.js';
import { FormDialog, LossDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Mark, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';
import { OwnSecondFactor } from './second-factor.js';

const actions: readonly AccessQuestion['action'][] = ['pub', 'sub', 'create', 'update', 'delete', 'get', 'list', 'all'];

/** Users and what they may do, whether one may do something, and what was done. */
export function Access() {
  const words = useWords();
  const session = useSession();
  return (
    <Page title={words.access}>
      <Answered of={session}>
        {({ login, user = '', super: isSuper = false, secondFactor = false }) =>
          login ? (
            <>
              {isSuper && <Users />}
              {isSuper && <MayItBe />}
              {!user.startsWith('oidc:') && <OwnSecret user={user} />}
              {!user.startsWith('oidc:') && (
                <OwnSecondFactor user={user} isOn={secondFactor} onChanged={() => void session.refetch()} />
              )}
              {isSuper && <Audit />}
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
    [words],
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

type Policy = User['policies'][number];
interface PolicyRow {
  readonly key: number;
  readonly decision: NonNullable<Policy['decision']>;
  readonly actions: string;
  readonly resource: string;
  readonly from: string;
  /** What this page does not change. */
  readonly policy: NonNullable<Policy['policy']>;
}

/** All that a user may do, a line each. */
function EditPolicies({ user, onClose }: { readonly user: User; readonly onClose: () => void }) {
  const words = useWords();
  const change = useChange('setPolicies');
  const [rows, setRows] = useState<readonly PolicyRow[]>(() =>
    user.policies.map(({ decision = 'allow', actions: may, resource, sourceIps = [], policy = 'custom' }, key) => ({
      ...{ key, decision, actions: may.join(', '), resource, from: sourceIps.join(', '), policy },
    })),
  );
  const [next, setNext] = useState(rows.length);
  const put = (key: number, part: Partial<PolicyRow>): void =>
    setRows(rows.map((row) => (row.key === key ? { ...row, ...part } : row)));
  const add = (): void => {
    setRows([...rows, { key: next, decision: 'allow', actions: '', resource: '', from: '', policy: 'custom' }]);
    setNext(next + 1);
  };
  const policies = rows.map(({ decision, actions: may, resource, from, policy }) => ({
    ...{ resource: resource.trim(), actions: listed(may) as Policy['actions'], decision, policy },
    ...(listed(from).length > 0 && { sourceIps: listed(from) }),
  }));
  return (
    <FormDialog
      {...{ title: words.policiesOf(user.name), onClose, submit: words.save }}
      onSubmit={() => change.mutate({ params: { name: user.name }, body: { policies } }, { onSuccess: onClose })}
      error={change.error}
      busy={change.isPending}
    >
      {rows.map(({ key, decision, actions: may, resource, from }, index) => (
        <Group key={key} align="end" gap="xs" wrap="nowrap" role="group" aria-label={words.policy(index + 1)}>
          <NativeSelect
            label={words.decision}
            value={decision}
            data={['allow', 'deny']}
            onChange={(event) => put(key, { decision: event.currentTarget.value as PolicyRow['decision'] })}
          />
          <TextInput
            label={words.actionsAllowed}
            placeholder="pub, sub"
            value={may}
            required
            onChange={(event) => put(key, { actions: event.currentTarget.value })}
          />
          <TextInput
            label={words.resource}
            placeholder="Topic:orders*"
            value={resource}
            required
            onChange={(event) => put(key, { resource: event.currentTarget.value })}
          />
          <TextInput
            label={words.fromAddress}
            placeholder="10.0.0.0/8"
            value={from}
            onChange={(event) => put(key, { from: event.currentTarget.value })}
          />
          <Button
            variant="light"
            color="red"
            onClick={() => setRows(rows.filter((row) => row.key !== key))}
            aria-label={words.removePolicy(index + 1)}
          >
            ✕
          </Button>
        </Group>
      ))}
      <Group>
        <Button size="xs" variant="default" onClick={add}>
          {words.addPolicy}
        </Button>
      </Group>
    </FormDialog>
  );
}

/** Who has signed in gives itself another secret; the old one ends, and with it all that was begun with it. */
function OwnSecret({ user }: { readonly user: string }) {
  const words = useWords();
  const change = useChange('changeOwnSecret');
  const [secret, setSecret] = useState('');
  const { data } = change;
  return (
    <Card title={words.ownSecret}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate(
            { body: { secret } },
            {
              onSuccess: ({ csrfToken }) => {
                keepCsrf(csrfToken);
                setSecret('');
              },
            },
          );
        }}
      >
        <Group align="end" mb="sm">
          <PasswordInput
            label={words.secretNow}
            value={secret}
            autoComplete="current-password"
            required
            miw={280}
            onChange={(event) => setSecret(event.currentTarget.value)}
          />
          <Button type="submit" loading={change.isPending}>
            {words.newSecret}
          </Button>
        </Group>
      </form>
      <Trouble error={change.error} />
      {data && <SecretOnce user={user} secret={data.secret} />}
    </Card>
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
