import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';

import type { Message } from '../api/schema.js';
import { useWords } from '../text/text.js';
import { DataTable, type Column } from './data-table.js';
import { bytes } from './format.js';
import { Ago, Mono } from './show.js';

/** Messages of a list; each leads to its own page. */
export function MessageTable({
  rows,
  label,
  empty,
}: {
  readonly rows: readonly Message[];
  readonly label: string;
  readonly empty: string;
}) {
  const words = useWords();
  const columns = useMemo<Column<Message>[]>(
    () => [
      {
        id: 'stored',
        head: words.stored,
        by: ({ storedMs }) => storedMs,
        cell: ({ storedMs }) => <Ago ms={storedMs} />,
      },
      {
        ...{ id: 'id', head: words.messageId },
        cell: ({ id, messageId }) => (
          <Link to="/message/$id" params={{ id }}>
            <Mono>{messageId}</Mono>
          </Link>
        ),
      },
      {
        ...{ id: 'topic', head: words.topic, by: ({ topic }) => topic },
        cell: ({ topic, originTopic }) => (originTopic === undefined ? topic : `${originTopic} → ${topic}`),
      },
      { id: 'tag', head: words.tag, by: ({ tag }) => tag, cell: ({ tag }) => tag },
      { id: 'keys', head: words.keys, cell: ({ keys }) => keys.join(', ') },
      { id: 'group', head: words.messageGroup, by: (row) => row.messageGroup, cell: (row) => row.messageGroup },
      {
        ...{ id: 'place', head: words.place },
        cell: ({ brokerSet, queueId, offset }) => `${brokerSet}/${queueId}${offset === undefined ? '' : `/${offset}`}`,
      },
      { id: 'bytes', head: words.bytes, by: (row) => row.bodyBytes, cell: (row) => bytes(row.bodyBytes), right: true },
    ],
    [words],
  );
  return <DataTable rows={rows} columns={columns} idOf={({ id }) => id} label={label} empty={empty} />;
}
