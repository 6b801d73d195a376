import { Button, Group, NativeSelect, NumberInput, Switch, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { Topic } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { FormDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { DeletedThings } from '../parts/deleted.js';
import { duration } from '../parts/format.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Mark, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

export const messageTypes = ['normal', 'fifo', 'delay', 'transaction', 'priority', 'lite', 'mixed'] as const;

export function Topics() {
  const words = useWords();
  const navigate = useNavigate();
  const search = useSearch({ from: '/topics' });
  const [making, make] = useDisclosure();
  const query = {
    limit: 1000,
    ...(search.contains !== undefined && { contains: search.contains }),
    ...(search.inner === undefined && { inner: 'false' as const }),
  };
  const { pages, items, total } = usePages('listTopics', { query });
  const columns = useMemo<Column<Topic>[]>(
    () => [
      {
        ...{ id: 'name', head: words.name, by: ({ name }) => name },
        cell: ({ name, inner }) => (
          <Group gap="xs">
            <Link to="/topics/$name" params={{ name }}>
              {name}
            </Link>
            {inner && <Mark color="gray">{words.deadLetters}</Mark>}
          </Group>
        ),
      },
      { id: 'type', head: words.type, by: ({ type }) => type, cell: ({ type }) => words.messageTypes[type] },
      {
        ...{ id: 'queues', head: words.queues, by: ({ writeQueues }) => writeQueues, right: true },
        cell: ({ readQueues, writeQueues }) =>
          readQueues === writeQueues ? writeQueues : `${writeQueues}/${readQueues}`,
      },
      {
        id: 'permission',
        head: words.permission,
        by: ({ permission }) => permission,
        cell: ({ permission }) => words.permissions[permission],
      },
      {
        ...{ id: 'retention', head: words.retention, by: ({ retentionMs }) => retentionMs ?? 0 },
        cell: ({ retentionMs }) => (retentionMs === undefined ? words.byDefault : duration(retentionMs)),
      },
      {
        id: 'created',
        head: words.created,
        by: ({ createdMs }) => createdMs,
        cell: ({ createdMs }) => <Ago ms={createdMs} />,
      },
    ],
    [words],
  );
  return (
    <Page title={words.topics} actions={<Button onClick={make.open}>{words.createTopic}</Button>}>
      <Group>
        <TextInput
          aria-label={words.filterName}
          placeholder={words.filterName}
          value={search.contains ?? ''}
          onChange={({ currentTarget: { value } }) =>
            void navigate({
              to: '/topics',
              search: { ...search, contains: value || undefined } as typeof search,
              replace: true,
            })
          }
        />
        <Switch
          label={words.showInner}
          checked={search.inner !== undefined}
          onChange={({ currentTarget: { checked } }) =>
            void navigate({
              to: '/topics',
              search: { ...search, inner: checked ? 'true' : undefined } as typeof search,
            })
          }
        />
      </Group>
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ name }) => name}
        label={words.topics}
      />
      <DeletedThings kind="topic" />
      {making && <CreateTopic onClose={make.close} />}
    </Page>
  );
}

function CreateTopic({ onClose }: { readonly onClose: () => void }) {
  const words = useWords();
  const create = useChange('createTopic');
  const [name, setName] = useState('');
  const [type, setType] = useState<Topic['type']>('normal');
  const [writeQueues, setWriteQueues] = useState<number>(8);
  const [hours, setHours] = useState<string | number>('');
  const submit = (): void =>
    create.mutate(
      { body: { name, type, writeQueues, ...(hours !== '' && { retentionMs: Number(hours) * 3_600_000 }) } },
      { onSuccess: onClose },
    );
  return (
    <FormDialog
      {...{ title: words.createTopic, onClose, submit: words.create, onSubmit: submit }}
      error={create.error}
      busy={create.isPending}
    >
      <TextInput
        label={words.name}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
        required
      />
      <NativeSelect
        label={words.messageType}
        data={messageTypes.map((value) => ({ value, label: words.messageTypes[value] }))}
        value={type}
        onChange={(event) => setType(event.currentTarget.value as Topic['type'])}
      />
      <NumberInput
        label={words.writeQueues}
        value={writeQueues}
        min={1}
        max={1024}
        onChange={(value) => setWriteQueues(Number(value))}
      />
      <NumberInput label={words.retentionHours} value={hours} min={0} onChange={setHours} />
    </FormDialog>
  );
}
