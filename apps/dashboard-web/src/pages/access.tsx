import { Button, Group, NativeSelect, PasswordInput, Text, TextInput } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';

import { keepCsrf } from '../api/client.js';
import type { AccessQuestion, AuditRecord } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { useSession } from '../api/use-session.js';
import type { Column } from '../parts/data-table.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Mark, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';
import { OwnSecondFactor } from './second-factor.js';
import { Tokens } from './tokens.js';
import { SecretOnce, Users } from './users.js';

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
