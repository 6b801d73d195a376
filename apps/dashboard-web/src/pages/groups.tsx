import { Button, Group as Row, NumberInput, Switch, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { GroupItem } from '../api/schema.js';
import { useChange } from '../api/use-api.js';
import { FormDialog } from '../parts/ask.js';
import type { Column } from '../parts/data-table.js';
import { DeletedThings } from '../parts/deleted.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Count, Mark, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

export function Groups() {
  const words = useWords();
  const navigate = useNavigate();
  const search = useSearch({ from: '/groups' });
  const [making, make] = useDisclosure();
  const query = {
    limit: 200,
    progress: 'true' as const,
    ...(search.contains !== undefined && { contains: search.contains }),
  };
  const { pages, items, total } = usePages('listGroups', { query });
  const columns = useMemo<Column<GroupItem>[]>(() => {
    const figure = (id: 'lag' | 'ready' | 'inFlight' | 'members', head: string): Column<GroupItem> => ({
      ...{ id, head, right: true, by: ({ progress }) => progress?.[id] ?? 0 },
      cell: ({ progress }) => <Count value={progress?.[id] ?? 0} />,
    });
    return [
      {
        ...{ id: 'name', head: words.name, by: ({ name }) => name },
        cell: ({ name, pausedUntilMs }) => (
          <Row gap="xs">
            <Link to="/groups/$name" params={{ name }}>
              {name}
            </Link>
            {pausedUntilMs !== undefined && pausedUntilMs > Date.now() && <Mark color="orange">{words.isPaused}</Mark>}
          </Row>
        ),
      },
      {
        id: 'order',
        head: words.order,
        by: ({ fifo }) => String(fifo),
        cell: ({ fifo }) => (fifo ? words.fifo : words.concurrent),
      },
      figure('lag', words.lag),
      figure('ready', words.ready),
      figure('inFlight', words.inFlight),
      figure('members', words.members),
    ];
  }, [words]);
  return (
    <Page title={words.groups} actions={<Button onClick={make.open}>{words.createGroup}</Button>}>
      <TextInput
        aria-label={words.filterName}
        placeholder={words.filterName}
        maw={280}
        value={search.contains ?? ''}
        onChange={({ currentTarget: { value } }) =>
          void navigate({
            to: '/groups',
            search: (value === '' ? {} : { contains: value }) as typeof search,
            replace: true,
          })
        }
      />
      <PagedTable
        pages={pages}
        total={total}
        rows={items}
        columns={columns}
        idOf={({ name }) => name}
        label={words.groups}
      />
      <DeletedThings kind="group" />
      {making && <CreateGroup onClose={make.close} />}
    </Page>
  );
}

function CreateGroup({ onClose }: { readonly onClose: () => void }) {
  const words = useWords();
  const create = useChange('createGroup');
  const [name, setName] = useState('');
  const [fifo, setFifo] = useState(false);
  const [attemptsMax, setAttemptsMax] = useState(16);
  const submit = (): void => create.mutate({ body: { name, fifo, attemptsMax } }, { onSuccess: onClose });
  return (
    <FormDialog
      {...{ title: words.createGroup, onClose, submit: words.create, onSubmit: submit }}
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
      <Switch label={words.fifoGroup} checked={fifo} onChange={(event) => setFifo(event.currentTarget.checked)} />
      <NumberInput
        label={words.attemptsMax}
        value={attemptsMax}
        min={1}
        max={1000}
        onChange={(value) => setAttemptsMax(Number(value))}
      />
    </FormDialog>
  );
}
