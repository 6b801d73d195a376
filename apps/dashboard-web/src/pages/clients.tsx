import { Button, Group, Text, TextInput } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { Client } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import type { Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Missing, Mono, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

/** Who is connected: what they are, and what they do. */
export function Clients() {
  const words = useWords();
  const navigate = useNavigate();
  const { contains } = useSearch({ from: '/clients' });
  const [asked, setAsked] = useState<string>();
  const { pages, items, total, first } = usePages('listClients', {
    query: { limit: 200, ...(contains !== undefined && { contains }) },
  });
  const columns = useMemo<Column<Client>[]>(
    () => [
      {
        id: 'client',
        head: words.clientId,
        by: ({ clientId }) => clientId,
        cell: ({ clientId }) => <Mono>{clientId}</Mono>,
      },
      { id: 'sdk', head: words.sdk, by: ({ language }) => language, cell: ({ language }) => language },
      { id: 'version', head: words.version, by: ({ version }) => version, cell: ({ version }) => version },
      {
        ...{ id: 'consumes', head: words.subscriptions },
        cell: ({ groups }) =>
          groups.map(({ group, subscriptions }) => (
            <Text key={group} size="sm">
              <Link to="/groups/$name" params={{ name: group }}>
                {group}
              </Link>{' '}
              {subscriptions.map(({ topic, expression }) => `${topic} (${expression})`).join(', ')}
            </Text>
          )),
      },
      { id: 'produces', head: words.producesTo, cell: ({ producesTo }) => producesTo.join(', ') },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ clientId, streaming }) =>
          streaming && (
            <Button size="compact-xs" variant="default" onClick={() => setAsked(clientId)}>
              {words.askStack}
            </Button>
          ),
      },
    ],
    [words],
  );
  return (
    <Page title={words.clients}>
      <TextInput
        aria-label={words.filterName}
        placeholder={words.filterName}
        maw={280}
        value={contains ?? ''}
        onChange={({ currentTarget: { value } }) =>
          void navigate({ to: '/clients', search: value === '' ? {} : { contains: value }, replace: true })
        }
      />
      {first && <Missing sets={first.missing} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ clientId }) => clientId}
        label={words.clients}
      />
      {asked !== undefined && <StackTrace clientId={asked} onClose={() => setAsked(undefined)} />}
    </Page>
  );
}

function StackTrace({ clientId, onClose }: { readonly clientId: string; readonly onClose: () => void }) {
  const words = useWords();
  const ask = useChange('askStackTrace');
  const { data, error, isPending, mutate, isIdle } = ask;
  return (
    <Dialog title={`${words.askStack}: ${clientId}`} onClose={onClose} size="xl">
      <Trouble error={error} />
      {data && (
        <pre className="body" tabIndex={0} aria-label={words.askStack}>
          {data.text ?? data.message}
        </pre>
      )}
      <Group justify="flex-end" mt="sm">
        {(isIdle || error) && (
          <Button loading={isPending} onClick={() => mutate({ params: { clientId } })}>
            {words.askNow}
          </Button>
        )}
        <Button variant="default" onClick={onClose}>
          {words.close}
        </Button>
      </Group>
    </Dialog>
  );
}
