import { Group, Text } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';

import type { Transaction, TransactionAudits } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Count, Mark, Missing, Mono, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Audit = TransactionAudits['items'][number];

export function Transactions() {
  const words = useWords();
  const { topic } = useSearch({ from: '/transactions' });
  const { pages, items, total, first } = usePages('listTransactions', {
    query: { limit: 200, ...(topic !== undefined && { topic }) },
  });
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
        cell: ({ id, messageId }) => (
          <Group gap="xs" wrap="nowrap">
            <Act
              does="commitTransaction"
              input={{ params: { id }, body: {} }}
              ask={<Text>{words.commitWhat(messageId)}</Text>}
            >
              {words.commit}
            </Act>
            <Act
              does="rollbackTransaction"
              input={{ params: { id }, body: {} }}
              color="red"
              variant="light"
              ask={<Text>{words.rollbackWhat(messageId)}</Text>}
            >
              {words.rollback}
            </Act>
          </Group>
        ),
      },
    ],
    [words],
  );
  return (
    <Page title={words.transactions}>
      {first && <Missing sets={first.missing} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ id }) => id}
        label={words.transactions}
        empty={words.emptyTransactions}
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
      {
        id: 'what',
        head: words.decision,
        by: ({ resolution }) => resolution,
        cell: ({ resolution }) => words.resolutions[resolution as 'commit'] ?? resolution,
      },
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
            empty={words.emptyDecisions}
          />
        )}
      </Answered>
    </Card>
  );
}
