import { Button, Group, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { Client } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import type { Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { count, duration, sdk } from '../parts/format.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Mark, Missing, Mono, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

type ClientMark = Client['marks'][number];
const marks: readonly ClientMark[] = ['idle', 'refused', 'otherFilter'];
const colors = { idle: 'gray', refused: 'red', otherFilter: 'orange' } as const;

/** Who is connected: what they are, what they do, and which of them need a look. */
export function Clients() {
  const words = useWords();
  const navigate = useNavigate();
  const { contains, mark } = useSearch({ from: '/clients' });
  const [asked, setAsked] = useState<string>();
  const only = marks.find((known) => known === mark);
  const { pages, items, total, first } = usePages('listClients', {
    query: { limit: 200, ...(contains !== undefined && { contains }), ...(only && { mark: only }) },
  });
  const narrow = (change: { readonly contains?: string; readonly mark?: string }): void => {
    const given = Object.entries({ contains, mark, ...change }).filter(([, value]) => value);
    void navigate({ to: '/clients', search: Object.fromEntries(given), replace: true });
  };
  const columns = useMemo<Column<Client>[]>(
    () => [
      {
        id: 'client',
        head: words.clientId,
        by: ({ clientId }) => clientId,
        cell: ({ clientId }) => <Mono>{clientId}</Mono>,
      },
      {
        id: 'state',
        head: words.state,
        by: ({ marks: said }) => -said.length,
        cell: (client) => <State of={client} />,
      },
      { id: 'sdk', head: words.sdk, by: ({ language }) => sdk(language), cell: ({ language }) => sdk(language) },
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
      <Group align="end">
        <TextInput
          label={words.filterClient}
          w={280}
          value={contains ?? ''}
          onChange={({ currentTarget: { value } }) => narrow({ contains: value })}
        />
        <NativeSelect
          label={words.state}
          value={only ?? ''}
          data={[
            { value: '', label: words.all },
            ...marks.map((value) => ({ value, label: words.clientMarks[value] })),
          ]}
          onChange={({ currentTarget: { value } }) => narrow({ mark: value })}
        />
      </Group>
      {first && <Missing sets={first.missing} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ clientId }) => clientId}
        label={words.clients}
        empty={words.emptyClients}
      />
      {asked !== undefined && <StackTrace clientId={asked} onClose={() => setAsked(undefined)} />}
    </Page>
  );
}

/** Nothing: it works, as far as anybody can tell. */
function State({ of: { marks: said, idleMs, refusals } }: { readonly of: Client }) {
  const words = useWords();
  return (
    <Stack gap={4} align="flex-start">
      {said.map((mark) => (
        <Mark key={mark} color={colors[mark]}>
          {mark === 'idle' && idleMs !== undefined ? words.idleFor(duration(idleMs)) : words.clientMarks[mark]}
        </Mark>
      ))}
      {refusals.map(({ method, code, count: times, agoMs }) => (
        <Text key={`${method} ${code}`} size="xs">
          {words.refusedCalls(count(times), method, code, duration(agoMs))}
        </Text>
      ))}
    </Stack>
  );
}

function StackTrace({ clientId, onClose }: { readonly clientId: string; readonly onClose: () => void }) {
  const words = useWords();
  const ask = useChange('askStackTrace');
  const { data, error, isPending, mutate } = ask;
  return (
    <Dialog title={`${words.askStack}: ${clientId}`} onClose={onClose} size="xl">
      <Trouble error={error} />
      {data && (
        <pre className="body" tabIndex={0} aria-label={words.askStack}>
          {data.text ?? data.message}
        </pre>
      )}
      <Group justify="flex-end" mt="sm">
        {!data && (
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
