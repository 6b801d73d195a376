import { Button, Code, Group, NativeSelect, NumberInput, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMemo, useState } from 'react';

import type { ApiToken, ApiTokenDraft } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { FormDialog } from '../parts/ask.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { Ago, Answered, Card } from '../parts/show.js';
import { useWords } from '../text/text.js';
import { PolicyLines, usePolicyLines } from './policy-lines.js';

const daysUsually = 90;
const scopes = ['all', 'look', 'some'] as const;
const looking = [{ resource: '*', actions: ['get', 'list'] }] satisfies ApiTokenDraft['policies'];

/** Tokens that a user has made for programs which use the REST API. */
export function Tokens({ user }: { readonly user: string }) {
  const words = useWords();
  const [making, make] = useDisclosure();
  const tokens = useApi('listTokens', { params: { name: user } });
  const columns = useMemo<Column<ApiToken>[]>(
    () => [
      { id: 'name', head: words.tokenFor, by: ({ name }) => name, cell: ({ name }) => name },
      { id: 'created', head: words.created, by: (row) => row.createdMs, cell: (row) => <Ago ms={row.createdMs} /> },
      { id: 'until', head: words.tokenUntil, by: (row) => row.untilMs, cell: (row) => <Ago ms={row.untilMs} /> },
      {
        ...{ id: 'may', head: words.policies },
        cell: ({ policies }) =>
          policies?.map(({ resource, actions, sourceIps = [] }) => (
            <div key={`${resource} ${actions.join()} ${sourceIps.join()}`}>
              <Code>{[`${actions.join(', ')} ${resource}`, ...sourceIps].join(' ← ')}</Code>
            </div>
          )) ?? words.tokenMay.all,
      },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ id, name }) => (
          <Act
            {...{ does: 'revokeToken', input: { params: { name: user, id } }, color: 'red', variant: 'light' }}
            ask={<Text>{words.revokeWhat(name)}</Text>}
          >
            {words.revoke}
          </Act>
        ),
      },
    ],
    [words, user],
  );
  return (
    <Card title={words.tokensOf(user)}>
      <Text mb="sm">{words.tokensWhat}</Text>
      <Group mb="sm">
        <Button onClick={make.open}>{words.createToken}</Button>
      </Group>
      <Answered of={tokens}>
        {({ items }) => (
          <DataTable
            {...{ rows: items, columns, label: words.tokensOf(user), empty: words.emptyTokens }}
            idOf={({ id }) => id}
          />
        )}
      </Answered>
      {making && <CreateToken user={user} onClose={make.close} />}
    </Card>
  );
}

function CreateToken({ user, onClose }: { readonly user: string; readonly onClose: () => void }) {
  const words = useWords();
  const create = useChange('createToken');
  const [name, setName] = useState('');
  const [days, setDays] = useState<number | string>(daysUsually);
  const [scope, setScope] = useState<(typeof scopes)[number]>('look');
  const some = usePolicyLines([{ resource: '', actions: [] }]);
  const policies = { all: undefined, look: looking, some: some.policies }[scope];
  const body = { name, ...(typeof days === 'number' && { days }), ...(policies && { policies }) };
  if (create.data) {
    return (
      <Dialog title={words.createToken} onClose={onClose}>
        <div role="status">
          <Text>{words.tokenOnce(create.data.name)}</Text>
          <Code block style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
            {create.data.token}
          </Code>
        </div>
        <Group justify="flex-end" mt="sm">
          <Button onClick={onClose}>{words.close}</Button>
        </Group>
      </Dialog>
    );
  }
  return (
    <FormDialog
      {...{ title: words.createToken, onClose, submit: words.create }}
      onSubmit={() => create.mutate({ params: { name: user }, body })}
      error={create.error}
      busy={create.isPending}
    >
      <TextInput
        label={words.tokenFor}
        value={name}
        required
        data-autofocus
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <NumberInput label={words.tokenDays} value={days} min={1} max={366} allowDecimal={false} onChange={setDays} />
      <NativeSelect
        label={words.tokenScope}
        value={scope}
        data={scopes.map((value) => ({ value, label: words.tokenMay[value] }))}
        onChange={(event) => setScope(event.currentTarget.value as (typeof scopes)[number])}
      />
      {scope === 'some' && <PolicyLines of={some} placeholder="get, list" onlyAllow />}
    </FormDialog>
  );
}
