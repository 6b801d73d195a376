import { Button, Text } from '@mantine/core';
import { useMemo } from 'react';

import type { DeletedList } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { useWords } from '../text/text.js';
import { DataTable, type Column } from './data-table.js';
import { Ago, Card, Trouble } from './show.js';

type Deleted = DeletedList['items'][number];

/** What was deleted a while ago, and can be brought back. */
export function DeletedThings({ kind }: { readonly kind: Deleted['kind'] }) {
  const words = useWords();
  const deleted = useApi('listDeleted', {}, { everyMs: 10_000 });
  const restore = useChange('restoreDeleted');
  const { mutate, isPending } = restore;
  const columns = useMemo<Column<Deleted>[]>(
    () => [
      { id: 'name', head: words.name, by: ({ name }) => name, cell: ({ name }) => name },
      { id: 'at', head: words.time, by: ({ deletedMs }) => deletedMs, cell: ({ deletedMs }) => <Ago ms={deletedMs} /> },
      { id: 'who', head: words.who, by: ({ who }) => who, cell: ({ who }) => who },
      { id: 'gone', head: words.goneAt, by: ({ goneMs }) => goneMs, cell: ({ goneMs }) => <Ago ms={goneMs} /> },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ id, kind: what }) => (
          <Button
            size="compact-xs"
            variant="default"
            loading={isPending}
            onClick={() => mutate({ params: { kind: what, id: String(id) } })}
          >
            {words.bringBack}
          </Button>
        ),
      },
    ],
    [words, mutate, isPending],
  );
  const items = (deleted.data?.items ?? []).filter((one) => one.kind === kind);
  if (items.length === 0 && !restore.error) return null;
  return (
    <Card title={words.deleted}>
      <Text size="sm" mb="xs">
        {words.deletedWhat}
      </Text>
      <Trouble error={restore.error} />
      <DataTable rows={items} columns={columns} idOf={({ id }) => String(id)} label={words.deleted} />
    </Card>
  );
}

/** How long a deletion can be taken back, in words; undefined: not at all, or it is not known. */
export function useGrace(): number | undefined {
  const deleted = useApi('listDeleted', {}, { everyMs: 0 });
  const graceMs = deleted.data?.graceMs ?? 0;
  return graceMs === 0 ? undefined : graceMs;
}
