import { Button, Group, Text, TextInput } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { Delayed } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { FormDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { bytes } from '../parts/format.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Missing, Mono, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

export function DelayedMessages() {
  const words = useWords();
  const navigate = useNavigate();
  const { topic } = useSearch({ from: '/delayed' });
  const [moving, setMoving] = useState<Delayed>();
  const { pages, items, total, first } = usePages('listDelayed', {
    query: { limit: 200, ...(topic !== undefined && { topic }) },
  });
  const columns = useMemo<Column<Delayed>[]>(
    () => [
      { id: 'due', head: words.due, by: ({ dueMs }) => dueMs, cell: ({ dueMs }) => <Ago ms={dueMs} /> },
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
      { id: 'bytes', head: words.bytes, by: (row) => row.bytes, cell: (row) => bytes(row.bytes), right: true },
      {
        ...{ id: 'actions', head: words.actions },
        cell: (row) => (
          <Group gap="xs" wrap="nowrap">
            <Button size="compact-xs" variant="default" onClick={() => setMoving(row)}>
              {words.reschedule}
            </Button>
            <Act
              does="cancelDelayed"
              input={{ params: { id: row.id } }}
              color="red"
              variant="light"
              ask={<Text>{words.calledOffWhat(row.messageId)}</Text>}
            >
              {words.calledOff}
            </Act>
          </Group>
        ),
      },
    ],
    [words],
  );
  return (
    <Page title={words.delayed}>
      <TextInput
        aria-label={words.topic}
        placeholder={words.topicThenEnter}
        maw={280}
        key={topic}
        defaultValue={topic ?? ''}
        onKeyDown={(event) => {
          if (event.key !== 'Enter') return;
          const { value } = event.currentTarget;
          void navigate({ to: '/delayed', search: value === '' ? {} : { topic: value } });
        }}
      />
      {first && <Missing sets={first.missing} />}
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ id }) => id}
        label={words.delayed}
        empty={words.emptyDelayed}
      />
      {moving && <Reschedule message={moving} onClose={() => setMoving(undefined)} />}
    </Page>
  );
}

/** As the browser's own field for a moment writes it. */
const local = (ms: number): string =>
  new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

function Reschedule({ message, onClose }: { readonly message: Delayed; readonly onClose: () => void }) {
  const words = useWords();
  const change = useChange('rescheduleDelayed');
  const [time, setTime] = useState(local(message.dueMs));
  const submit = (): void =>
    change.mutate({ params: { id: message.id }, body: { dueMs: new Date(time).getTime() } }, { onSuccess: onClose });
  return (
    <FormDialog
      {...{ title: words.reschedule, onClose, submit: words.save, onSubmit: submit }}
      error={change.error}
      busy={change.isPending}
    >
      <TextInput
        type="datetime-local"
        step={1}
        label={words.newTime}
        value={time}
        required
        onChange={(event) => setTime(event.currentTarget.value)}
      />
    </FormDialog>
  );
}
