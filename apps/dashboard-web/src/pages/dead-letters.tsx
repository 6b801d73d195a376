import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import type { DeadLetterGroups } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { MessageTable } from '../parts/message-table.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Answered, Card, Count, Missing, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Row = DeadLetterGroups['items'][number];

export function DeadLetters() {
  const words = useWords();
  const { group } = useSearch({ from: '/dead-letters' });
  const letters = useApi('listDeadLetters', {}, { everyMs: 5_000 });
  const columns = useMemo<Column<Row>[]>(
    () => [
      {
        ...{ id: 'group', head: words.group, by: (row) => row.group },
        cell: (row) => (
          <Link to="/dead-letters" search={{ group: row.group }}>
            {row.group}
          </Link>
        ),
      },
      {
        id: 'messages',
        head: words.deadLetters,
        by: (row) => row.messages,
        cell: (row) => <Count value={row.messages} />,
        right: true,
      },
    ],
    [words],
  );
  return (
    <Page title={words.deadLetters}>
      <Answered of={letters}>
        {(data) => (
          <>
            <Missing sets={data.missing} />
            <DataTable rows={data.items} columns={columns} idOf={(row) => row.group} label={words.deadLetters} />
            {group !== undefined && (
              <OfGroup group={group} topic={data.items.find((row) => row.group === group)?.topic} />
            )}
          </>
        )}
      </Answered>
    </Page>
  );
}

function OfGroup({ group, topic }: { readonly group: string; readonly topic: string | undefined }) {
  return topic === undefined ? null : (
    <Card title={group}>
      <Letters topic={topic} group={group} />
    </Card>
  );
}

function Letters({ topic, group }: { readonly topic: string; readonly group: string }) {
  const words = useWords();
  const { pages, items } = usePages('findMessages', { query: { topic, limit: 100 } });
  return (
    <PagedTable pages={pages} rows={items} columns={[]} idOf={({ id }) => id} label={`${words.deadLetters}: ${group}`}>
      <MessageTable rows={items} label={`${words.deadLetters}: ${group}`} />
    </PagedTable>
  );
}
