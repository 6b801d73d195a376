import { Button, Text } from '@mantine/core';
import { useMemo, useState } from 'react';

import type { DeletedList } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { useWords } from '../text/text.js';
import { FormDialog } from './ask.js';
import { DataTable, type Column } from './data-table.js';
import { Ago, Card, Trouble } from './show.js';

type Deleted = DeletedList['items'][number];

/** What was deleted a while ago, and can be brought back. */
export function DeletedThings({ kind }: { readonly kind: Deleted['kind'] }) {
  const words = useWords();
  const deleted = useApi('listDeleted', {}, { everyMs: 10_000 });
  const restore = useChange('restoreDeleted');
  const { mutate, isPending } = restore;
  const [replacing, replace] = useState<Deleted>();
  const columns = useMemo<Column<Deleted>[]>(
    () => [
      { id: 'name', head: words.name, by: ({ name }) => name, cell: ({ name }) => name },
      { id: 'at', head: words.time, by: ({ deletedMs }) => deletedMs, cell: ({ deletedMs }) => <Ago ms={deletedMs} /> },
      { id: 'who', head: words.who, by: ({ who }) => who, cell: ({ who }) => who },
      { id: 'gone', head: words.goneAt, by: ({ goneMs }) => goneMs, cell: ({ goneMs }) => <Ago ms={goneMs} /> },
      {
        ...{ id: 'actions', head: words.actions },
        cell: (row) => (
          <Button
            size="compact-xs"
            variant="default"
            loading={isPending}
            onClick={() =>
              mutate(
                { params: { kind: row.kind, id: String(row.id) } },
                { onError: ({ code }) => (code === 'ALREADY_EXISTS' ? replace(row) : undefined) },
              )
            }
          >
            {words.bringBack}
          </Button>
        ),
      },
    ],
    [words, mutate, isPending],
  );
  const items = (deleted.data?.items ?? []).filter((one) => one.kind === kind);
  const taken = restore.error?.code === 'ALREADY_EXISTS'; // That is asked about, not a failure.
  if (items.length === 0 && !restore.error) return null;
  return (
    <Card title={words.deleted}>
      <Text size="sm" mb="xs">
        {words.deletedWhat}
      </Text>
      <Trouble error={taken ? null : restore.error} />
      <DataTable rows={items} columns={columns} idOf={({ id }) => String(id)} label={words.deleted} />
      {replacing && <Replace deleted={replacing} onClose={() => replace(undefined)} />}
    </Card>
  );
}

/** Another one has the name now: the two change places. */
function Replace({ deleted, onClose }: { readonly deleted: Deleted; readonly onClose: () => void }) {
  const words = useWords();
  const restore = useChange('restoreDeleted');
  const { kind, id, name } = deleted;
  return (
    <FormDialog
      {...{ title: words.replaceQuestion(name), onClose, submit: words.bringBackInstead }}
      onSubmit={() =>
        restore.mutate({ params: { kind, id: String(id) }, query: { replace: 'true' } }, { onSuccess: onClose })
      }
      error={restore.error}
      busy={restore.isPending}
    >
      <Text>{words.replaceWhat}</Text>
    </FormDialog>
  );
}

/** How long a deletion can be taken back, in words; undefined: not at all, or it is not known. */
export function useGrace(): number | undefined {
  const deleted = useApi('listDeleted', {}, { everyMs: 0 });
  const graceMs = deleted.data?.graceMs ?? 0;
  return graceMs === 0 ? undefined : graceMs;
}
