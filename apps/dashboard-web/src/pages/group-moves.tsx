import { Button, Group as Row, NativeSelect, Stack, Text, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';

import type { GroupMoves, GroupReset, GroupResetResult } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { Dialog } from '../parts/dialog.js';
import { count } from '../parts/format.js';
import { Ago, Answered, Card, Mark, Missing, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Move = GroupMoves['items'][number];
type Place = 'first' | 'end' | 'time' | 'group';

/** Where the group goes on: previewed before it is done, and taken back for 24 hours. */
export function MoveGroup({
  name,
  topics,
  onClose,
}: {
  readonly name: string;
  readonly topics: readonly string[];
  readonly onClose: () => void;
}) {
  const words = useWords();
  const preview = useChange('resetGroup');
  const move = useChange('resetGroup');
  const [topic, setTopic] = useState(topics[0] ?? '');
  const [place, setPlace] = useState<Place>('first');
  const [time, setTime] = useState('');
  const [other, setOther] = useState('');
  const body = (): GroupReset => ({ topic, to: targetOf(place, time, other) });
  const again = (): void => preview.reset(); // What was previewed is not what would be done any more.
  return (
    <Dialog title={`${words.moveTitle}: ${name}`} onClose={onClose} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          preview.mutate({ params: { name }, body: { ...body(), preview: true } });
        }}
      >
        <Stack gap="sm">
          <TextInput
            label={words.topic}
            value={topic}
            required
            list="move-topics"
            onChange={(event) => {
              setTopic(event.currentTarget.value);
              again();
            }}
          />
          <datalist id="move-topics">
            {topics.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
          <NativeSelect
            label={words.moveTo}
            value={place}
            data={[
              { value: 'first', label: words.moveFirst },
              { value: 'end', label: words.moveEnd },
              { value: 'time', label: words.moveTime },
              { value: 'group', label: words.moveGroup },
            ]}
            onChange={(event) => {
              setPlace(event.currentTarget.value as Place);
              again();
            }}
          />
          {place === 'time' && (
            <TextInput
              type="datetime-local"
              step={1}
              label={words.time}
              value={time}
              required
              onChange={(event) => {
                setTime(event.currentTarget.value);
                again();
              }}
            />
          )}
          {place === 'group' && (
            <TextInput
              label={words.otherGroup}
              value={other}
              required
              onChange={(event) => {
                setOther(event.currentTarget.value);
                again();
              }}
            />
          )}
          <Trouble error={preview.error ?? move.error} />
          {preview.data && !move.data && <Effect result={preview.data} />}
          {move.data && <Missing sets={move.data.missing} />}
          <Row justify="flex-end">
            <Button variant="default" onClick={onClose}>
              {words.cancel}
            </Button>
            <Button type="submit" variant="default" loading={preview.isPending}>
              {words.movePreview}
            </Button>
            <Button
              disabled={!preview.data || move.data !== undefined}
              loading={move.isPending}
              // What some sets did not do is said, and nothing closes over it.
              onClick={() =>
                move.mutate(
                  { params: { name }, body: body() },
                  { onSuccess: ({ missing }) => (missing.length === 0 ? onClose() : undefined) },
                )
              }
            >
              {words.moveNow}
            </Button>
          </Row>
        </Stack>
      </form>
    </Dialog>
  );
}

function targetOf(place: Place, time: string, other: string): GroupReset['to'] {
  switch (place) {
    case 'time':
      return { at: 'time', timeMs: new Date(time).getTime() };
    case 'group':
      return { at: 'group', group: other };
    default:
      return { at: place };
  }
}

function Effect({ result }: { readonly result: GroupResetResult }) {
  const words = useWords();
  let back = 0;
  let forward = 0;
  for (const { before = 0, after } of result.queues) {
    if (after < before) back += before - after;
    else forward += after - before;
  }
  return (
    <div role="status">
      <Missing sets={result.missing} />
      {back > 0 && <Text>{words.moveBack(count(back))}</Text>}
      {forward > 0 && <Text>{words.moveForward(count(forward))}</Text>}
      {back === 0 && forward === 0 && <Text>{words.moveNone}</Text>}
      <Text size="sm" c="var(--comet-quiet)">
        {words.moveCanBeUndone}
      </Text>
    </div>
  );
}

/** Moves of the last 24 hours. */
export function Moves({ name }: { readonly name: string }) {
  const words = useWords();
  const moves = useApi('listGroupMoves', { params: { name } }, { everyMs: 5_000 });
  const undo = useChange('undoGroupMove');
  const { mutate, isPending } = undo;
  const columns = useMemo<Column<Move>[]>(
    () => [
      { id: 'at', head: words.time, by: ({ atMs }) => atMs, cell: ({ atMs }) => <Ago ms={atMs} /> },
      { id: 'who', head: words.who, by: ({ who }) => who, cell: ({ who }) => who },
      { id: 'topic', head: words.topic, by: ({ topic }) => topic, cell: ({ topic }) => topic },
      {
        ...{ id: 'what', head: words.movedBy },
        cell: ({ queues }) => {
          const sum = queues.reduce((total, { before = 0, after }) => total + after - before, 0);
          return `${sum > 0 ? '+' : ''}${count(sum)}`;
        },
      },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ id, undone, undoes }) =>
          undone ? (
            <Mark color="gray">{words.undone}</Mark>
          ) : (
            <Button
              size="compact-xs"
              variant="default"
              loading={isPending}
              onClick={() => mutate({ params: { name, move: id } })}
            >
              {undoes === undefined ? words.undo : words.redo}
            </Button>
          ),
      },
    ],
    [words, name, mutate, isPending],
  );
  if (moves.data?.items.length === 0 && !undo.error) return null;
  return (
    <Card title={words.moves}>
      <Trouble error={undo.error} />
      <Answered of={moves}>
        {({ items }) => <DataTable rows={items} columns={columns} idOf={({ id }) => id} label={words.moves} />}
      </Answered>
    </Card>
  );
}
