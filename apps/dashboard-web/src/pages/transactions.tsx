import { Button, Group } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import type { Transaction, TransactionAudits } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Count, Mark, Missing, Mono, Page, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Audit = TransactionAudits['items'][number];

export function Transactions() {
  const words = useWords();
  const { topic } = useSearch({ from: '/transactions' });
  const commit = useChange('commitTransaction');
  const rollback = useChange('rollbackTransaction');
  const { pages, items, total, first } = usePages('listTransactions', {
    query: { limit: 200, ...(topic !== undefined && { topic }) },
  });
  const { mutate: commitOne } = commit;
  const { mutate: rollbackOne } = rollback;
  const columns = useMemo<Column<Transaction>[]>(
    () => [
      {
        id: 'stored',
        head: words.stored,
        by: ({ storedMs }) => storedMs,
        cell: ({ storedMs }) => <Ago ms={storedMs} />,
      },
      { id: 'topic', head: words.topic, by: (row) => row.topic, cell: (row) => row.topic },
      {
        ...{ id: 'id', head: words.messageId },
        cell: ({ messageId }) => (
          <Link to="/messages" search={{ id: messageId }}>
            <Mono>{messageId}</Mono>
          </Link>
        ),
      },
      { id: 'tag', head: words.tag, by: ({ tag }) => tag, cell: ({ tag }) => tag },
      {
        id: 'checks',
        head: words.checks,
        by: ({ checks }) => checks,
        cell: ({ checks }) => <Count value={checks} />,
        right: true,
      },
      {
        ...{ id: 'next', head: words.nextCheck },
        cell: ({ parked, nextCheckMs }) =>
          parked ? <Mark color="orange">{words.parked}</Mark> : <Ago ms={nextCheckMs} />,
      },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ id }) => (
          <Group gap="xs" wrap="nowrap">
            <Button size="compact-xs" variant="default" onClick={() => commitOne({ params: { id }, body: {} })}>
              {words.commit}
            </Button>
            <Button
              size="compact-xs"
              color="red"
              variant="light"
              onClick={() => rollbackOne({ params: { id }, body: {} })}
            >
              {words.rollback}
            </Button>
          </Group>
        ),
      },
    ],
    [words, commitOne, rollbackOne],
  );
  return (
    <Page title={words.transactions}>
      <Trouble error={commit.error ?? rollback.error} />
      {first && <Missing sets={first.missing} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ id }) => id}
        label={words.transactions}
      />
      <Audits />
    </Page>
  );
}

function Audits() {
  const words = useWords();
  const audits = useApi('listTransactionAudits', {}, { everyMs: 10_000 });
  const columns = useMemo<Column<Audit>[]>(
    () => [
      { id: 'at', head: words.time, by: ({ atMs }) => atMs, cell: ({ atMs }) => <Ago ms={atMs} /> },
      { id: 'who', head: words.who, by: ({ who }) => who, cell: ({ who }) => who },
      { id: 'what', head: words.decision, by: ({ resolution }) => resolution, cell: ({ resolution }) => resolution },
      { id: 'topic', head: words.topic, by: ({ topic }) => topic, cell: ({ topic }) => topic },
    ],
    [words],
  );
  return (
    <Card title={words.decisions}>
      <Answered of={audits}>
        {({ items }) => (
          <DataTable
            rows={items}
            columns={columns}
            idOf={({ brokerSet, position, atMs }) => `${brokerSet}/${position}/${atMs}`}
            label={words.decisions}
          />
        )}
      </Answered>
    </Card>
  );
}
