import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';

import type { GroupLanes } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { Ago, Answered, Card, Count, Missing, Mono } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Lane = GroupLanes['items'][number];

/** Which message group waits for which message, since when, and who has it. */
export function GroupLanesCard({ name }: { readonly name: string }) {
  const words = useWords();
  const lanes = useApi('listLanes', { params: { name }, query: { limit: 200 } });
  const columns = useMemo<Column<Lane>[]>(
    () => [
      {
        id: 'group',
        head: words.messageGroup,
        by: ({ messageGroup }) => messageGroup,
        cell: (row) => row.messageGroup,
      },
      {
        ...{ id: 'message', head: words.waitsFor },
        cell: ({ id, messageId }) => (
          <Link to="/message/$id" params={{ id }} search={{ group: name }}>
            <Mono>{messageId}</Mono>
          </Link>
        ),
      },
      { id: 'since', head: words.since, by: ({ storedMs }) => storedMs, cell: ({ storedMs }) => <Ago ms={storedMs} /> },
      {
        id: 'attempt',
        head: words.attempts,
        by: ({ attempt }) => attempt,
        cell: (row) => <Count value={row.attempt} />,
        right: true,
      },
      { id: 'holder', head: words.holder, cell: ({ clientId }) => <Mono>{clientId}</Mono> },
      { id: 'until', head: words.due, by: ({ untilMs }) => untilMs, cell: ({ untilMs }) => <Ago ms={untilMs} /> },
      {
        id: 'behind',
        head: words.behind,
        by: ({ waiting }) => waiting,
        cell: (row) => <Count value={row.waiting} />,
        right: true,
      },
    ],
    [words, name],
  );
  return (
    <Card title={words.stuckLanes}>
      <Answered of={lanes}>
        {({ items, missing }) => (
          <>
            <Missing sets={missing} />
            <DataTable
              rows={items}
              columns={columns}
              idOf={({ brokerSet, topic, queueId, offset }) => `${brokerSet}/${topic}/${queueId}/${offset}`}
              label={words.stuckLanes}
              empty={words.emptyLanes}
            />
          </>
        )}
      </Answered>
    </Card>
  );
}
