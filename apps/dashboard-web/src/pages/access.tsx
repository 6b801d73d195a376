import { Button, Code, Group, NativeSelect, PasswordInput, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useEffect, useMemo, useRef, useState } from 'react';

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
import { listed, PolicyLines, usePolicyLines } from './policy-lines.js';
import { OwnSecondFactor } from './second-factor.js';
import { Tokens } from './tokens.js';

const actions: readonly AccessQuestion['action'][] = ['pub', 'sub', 'create', 'update', 'delete', 'get', 'list', 'all'];

/** Users and what they may do, whether one may do something, and what was done. */
export function Access() {
  const words = useWords();
  const session = useSession();
  const [whose, showTokens] = useState<string>();
  return (
    <Page title={words.access}>
      <Answered of={session}>
        {({ login, user = '', super: isSuper = false, secondFactor = false }) =>
          login ? (
            <>
              {isSuper && <Users onTokens={showTokens} />}
              <TokensOf user={whose ?? ownName(user)} isAsked={whose !== undefined} />
              {isSuper && <MayItBe />}
              {ownName(user) !== undefined && <OwnSecret user={user} />}
              {ownName(user) !== undefined && (
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

/** Whom an identity provider has told of is no user here. */
const ownName = (user: string): string | undefined => (user.startsWith('oidc:') ? undefined : user);

/** One's own, until another user's are asked for: those are below what was pressed, and come into sight. */
function TokensOf({ user, isAsked }: { readonly user: string | undefined; readonly isAsked: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isAsked) place.current?.scrollIntoView({ block: 'nearest' });
  }, [user, isAsked]);
  return user === undefined ? null : (
    <div ref={place}>
      <Tokens key={user} user={user} />
    </div>
  );
}

function Users({ onTokens }: { readonly onTokens: (user: string) => void }) {
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

function SecretOnce({ user, secret }: { readonly user: string; readonly secret: string }) {
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

/** Who did it. Of a login, who somebody said to be: in brackets where that was not believed. */
function whoOf({ user, change, decision }: AuditRecord): string {
  if (user !== undefined && user !== '') return user;
  const said = (change as { readonly user?: unknown } | undefined)?.user;
  if (typeof said !== 'string') return '';
  return decision === 'done' ? said : `(${said})`;
}

function Audit() {
  const words = useWords();
  const { pages, items } = usePages('listAudit', { query: { limit: 100 } });
  const columns = useMemo<Column<AuditRecord>[]>(
    () => [
      { id: 'at', head: words.time, by: ({ time }) => time, cell: ({ time }) => <Ago ms={Date.parse(time)} /> },
      { id: 'who', head: words.who, by: whoOf, cell: whoOf },
      { id: 'from', head: words.fromAddress, by: ({ from }) => from, cell: ({ from }) => from },
      { id: 'what', head: words.action, by: ({ operation }) => operation, cell: ({ operation }) => operation },
      {
        ...{ id: 'target', head: words.resource },
        cell: ({ target }) => (target ? Object.values(target).map(String).join(' ') : ''),
      },
      {
        ...{ id: 'decision', head: words.decision, by: ({ decision }) => decision },
        cell: ({ decision, reason = '' }) => (
          <Mark color={decision === 'done' ? 'gray' : 'red'}>
            {[words.auditDecisions[decision], reason].join(' ').trim()}
          </Mark>
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
