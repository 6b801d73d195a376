import { Button, Checkbox, Group, NativeSelect, SimpleGrid, Switch, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { pathOf } from '../api/client.js';
import type { DeadLetter, DeadLetterCounts, DeadLetterGroups, Replay } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { FormDialog } from '../parts/ask.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { bytes, count, duration } from '../parts/format.js';
import { PagedTable } from '../parts/paged-table.js';
import { usePages } from '../parts/pages-of.js';
import { Ago, Answered, Card, Count, Figure, Mark, Missing, Mono, Page, Stale, Trouble } from '../parts/show.js';
import { useWords } from '../text/text.js';
import { EditLetter } from './dead-letter-edit.js';

type Row = DeadLetterGroups['items'][number];
type Cause = NonNullable<DeadLetter['cause']>;

const hourMs = 3_600_000;
const ages = { hour: hourMs, day: 24 * hourMs, week: 7 * 24 * hourMs } as const;
type Age = keyof typeof ages;
const causes: readonly Cause[] = ['attemptsUsed', 'givenUp', 'unknown'];

/** Groups that have any; those of one group by reason and age, and what is done about them. */
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
            <DataTable
              rows={data.items}
              columns={columns}
              idOf={(row) => row.group}
              label={words.deadLetters}
              empty={words.emptyLetters}
            />
          </>
        )}
      </Answered>
      {group !== undefined && <OfGroup key={group} group={group} />}
    </Page>
  );
}

interface Filter {
  readonly cause?: Cause;
  readonly fromMs?: number;
}

function OfGroup({ group }: { readonly group: string }) {
  const words = useWords();
  const navigate = useNavigate();
  const { cause, age } = useSearch({ from: '/dead-letters' });
  const [replayingAll, replayAll] = useDisclosure();
  // A minute's step: the question stays the same while it is asked again and again.
  const fromMs = age !== undefined && age in ages ? Math.floor((Date.now() - ages[age as Age]) / 60_000) * 60_000 : 0;
  const filter: Filter = {
    ...(causes.includes(cause as Cause) && { cause: cause as Cause }),
    ...(fromMs > 0 && { fromMs }),
  };
  const counts = useApi('countDeadLetters', { params: { name: group }, query: filter }, { everyMs: 10_000 });
  const narrow = (change: { readonly cause?: string; readonly age?: string }): void => {
    const next = { group, cause, age, ...change };
    const given = Object.entries(next).filter(([, value]) => value !== undefined && value !== '');
    void navigate({ to: '/dead-letters', search: Object.fromEntries(given) as { group: string } });
  };
  return (
    <Card title={group}>
      <Answered of={counts}>{(data) => <Counts counts={data} />}</Answered>
      <Group align="end" mb="sm">
        <NativeSelect
          label={words.letterCause}
          value={cause ?? ''}
          data={[{ value: '', label: words.all }, ...causes.map((value) => ({ value, label: words.causes[value] }))]}
          onChange={(event) => narrow({ cause: event.currentTarget.value })}
        />
        <NativeSelect
          label={words.letterAge}
          value={age ?? ''}
          data={[
            { value: '', label: words.all },
            ...Object.keys(ages).map((value) => ({ value, label: words.ages[value as Age] })),
          ]}
          onChange={(event) => narrow({ age: event.currentTarget.value })}
        />
        <Button onClick={replayAll.open}>{words.replayAtRate}</Button>
        <Button
          component="a"
          variant="default"
          href={pathOf('exportDeadLetters', { params: { name: group }, query: filter })}
          download
        >
          {words.exportLines}
        </Button>
      </Group>
      <Replays group={group} />
      <Letters key={`${cause ?? ''} ${age ?? ''}`} group={group} filter={filter} />
      {replayingAll && <ReplayAll group={group} filter={filter} onClose={replayAll.close} />}
    </Card>
  );
}

function Counts({ counts }: { readonly counts: DeadLetterCounts }) {
  const words = useWords();
  // Each is told once, by the shortest time that it falls into; the last day has those of the last hour too.
  const youngerThan = (wantedMs: number): number =>
    counts.byAge.reduce((sum, { ageMs, messages }) => (ageMs > 0 && ageMs <= wantedMs ? sum + messages : sum), 0);
  return (
    <>
      <Missing sets={counts.missing} />
      <SimpleGrid cols={{ base: 2, sm: 4, lg: 7 }} mb="sm">
        <Figure
          label={words.deadLetters}
          value={counts.complete ? <Count value={counts.counted} /> : `${count(counts.counted)}+`}
        />
        <Figure label={words.replayedCount} value={<Count value={counts.replayed} />} />
        {counts.byCause.map(({ cause, messages }) => (
          <Figure key={cause} label={words.causes[cause as Cause] ?? cause} value={<Count value={messages} />} />
        ))}
        {Object.entries(ages).map(([age, ageMs]) => (
          <Figure key={age} label={words.ages[age as Age]} value={<Count value={youngerThan(ageMs)} />} />
        ))}
      </SimpleGrid>
    </>
  );
}

function Replays({ group }: { readonly group: string }) {
  const words = useWords();
  const replays = useApi('listReplays', { params: { name: group } }, { everyMs: 1_000 });
  const columns = useMemo<Column<Replay>[]>(
    () => [
      { id: 'at', head: words.time, by: (row) => row.startedMs, cell: (row) => <Ago ms={row.startedMs} /> },
      { id: 'who', head: words.who, by: (row) => row.who, cell: (row) => row.who },
      { id: 'rate', head: words.perSecond, cell: (row) => count(row.perSecond), right: true },
      { id: 'done', head: words.replayedCount, cell: (row) => count(row.replayed + row.resent), right: true },
      {
        ...{ id: 'left', head: words.leftAlone },
        cell: ({ left }) =>
          Object.entries(left)
            .map(([why, messages]) => `${words.replayOutcomes[why as 'gone'] ?? why}: ${count(messages)}`)
            .join('; '),
      },
      {
        ...{ id: 'state', head: words.state },
        cell: ({ id, state, detail }) =>
          state === 'running' ? (
            <Act does="stopReplay" input={{ params: { name: group, replay: id } }}>
              {words.stop}
            </Act>
          ) : (
            <Mark color={state === 'failed' ? 'red' : 'gray'}>
              {words.replayStates[state]}
              {detail !== undefined && `: ${detail}`}
            </Mark>
          ),
      },
    ],
    [words, group],
  );
  if (!replays.data || replays.data.items.length === 0) return <Trouble error={replays.error} />;
  return (
    <>
      <Stale error={replays.error} />
      <DataTable rows={replays.data.items} columns={columns} idOf={({ id }) => id} label={words.replays} />
    </>
  );
}

/** At once. More go at a rate, or a thousand after another. */
const replaysMax = 1_000;

function Letters({ group, filter }: { readonly group: string; readonly filter: Filter }) {
  const words = useWords();
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const [editing, edit] = useState<DeadLetter>();
  const replay = useChange('replayDeadLetters');
  const { pages, items } = usePages('listGroupDeadLetters', {
    params: { name: group },
    query: { ...filter, limit: 100 },
  });
  const { mutate, isPending } = replay;
  const columns = useMemo<Column<DeadLetter>[]>(
    () => [
      {
        ...{ id: 'choose', head: words.choose },
        cell: ({ id, messageId }) => (
          <Checkbox
            aria-label={`${words.choose} ${messageId}`}
            checked={chosen.has(id)}
            onChange={({ currentTarget: { checked } }) =>
              choose((before) => {
                const next = new Set(before);
                if (checked) next.add(id);
                else next.delete(id);
                return next;
              })
            }
          />
        ),
      },
      { id: 'died', head: words.letterAge, by: (row) => row.storedMs, cell: (row) => <Ago ms={row.storedMs} /> },
      {
        ...{ id: 'id', head: words.messageId },
        cell: ({ id, messageId }) => (
          <Link to="/message/$id" params={{ id }}>
            <Mono>{messageId}</Mono>
          </Link>
        ),
      },
      { id: 'topic', head: words.topic, by: (row) => row.originTopic ?? '', cell: (row) => row.originTopic ?? '' },
      {
        ...{ id: 'cause', head: words.letterCause, by: ({ cause }) => cause ?? '' },
        cell: ({ cause = 'unknown', attempts = 0 }) =>
          `${words.causes[cause]}${attempts > 0 ? ` · ${words.attempt(attempts)}` : ''}`,
      },
      { id: 'keys', head: words.keys, cell: ({ keys }) => keys.join(', ') },
      { id: 'bytes', head: words.bytes, by: (row) => row.bodyBytes, cell: (row) => bytes(row.bodyBytes), right: true },
      {
        ...{ id: 'replayed', head: words.replayedCount },
        cell: ({ replayed }) =>
          replayed && <Mark color="green">{`${replayed.who} · −${duration(Date.now() - replayed.atMs)}`}</Mark>,
      },
      {
        ...{ id: 'actions', head: words.actions },
        cell: (row) => (
          <Group gap="xs" wrap="nowrap">
            <Button
              size="compact-xs"
              variant="default"
              disabled={isPending}
              onClick={() => mutate({ params: { name: group }, body: { ids: [row.id] } })}
            >
              {words.replay}
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => edit(row)}>
              {words.editAndSend}
            </Button>
          </Group>
        ),
      },
    ],
    [words, chosen, mutate, isPending, group],
  );
  const outcomes = new Map<string, number>();
  for (const { outcome } of replay.data?.items ?? []) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  return (
    <>
      <Group my="sm">
        <Button
          disabled={chosen.size === 0}
          loading={replay.isPending}
          onClick={() =>
            mutate(
              { params: { name: group }, body: { ids: [...chosen].slice(0, replaysMax) } },
              { onSuccess: () => choose(new Set([...chosen].slice(replaysMax))) },
            )
          }
        >
          {words.replayChosen(count(chosen.size))}
        </Button>
        <Button variant="default" onClick={() => choose(new Set(items.map(({ id }) => id)))}>
          {words.chooseAll}
        </Button>
        {outcomes.size > 0 && (
          <Text role="status">
            {[...outcomes]
              .map(([outcome, letters]) => `${words.replayOutcomes[outcome as 'gone']}: ${count(letters)}`)
              .join('; ')}
          </Text>
        )}
      </Group>
      <Trouble error={replay.error} />
      <PagedTable
        pages={pages}
        rows={items}
        columns={columns}
        idOf={({ id }) => id}
        label={`${words.deadLetters}: ${group}`}
      />
      {editing && <EditLetter group={group} letter={editing} onClose={() => edit(undefined)} />}
    </>
  );
}

function ReplayAll({
  group,
  filter,
  onClose,
}: {
  readonly group: string;
  readonly filter: Filter;
  readonly onClose: () => void;
}) {
  const words = useWords();
  const start = useChange('startReplay');
  const [rate, setRate] = useState('100');
  const [toTopic, setToTopic] = useState(false);
  return (
    <FormDialog
      {...{ title: `${words.replayAtRate}: ${group}`, onClose, submit: words.replay }}
      onSubmit={() =>
        start.mutate(
          { params: { name: group }, body: { ...filter, perSecond: Number(rate), ...(toTopic && { toTopic }) } },
          { onSuccess: onClose },
        )
      }
      error={start.error}
      busy={start.isPending}
    >
      <Text size="sm">{words.replayWhat}</Text>
      <TextInput
        type="number"
        min={1}
        max={10_000}
        label={words.perSecond}
        value={rate}
        required
        onChange={(event) => setRate(event.currentTarget.value)}
      />
      <Switch
        label={words.replayToTopic}
        checked={toTopic}
        onChange={(event) => setToTopic(event.currentTarget.checked)}
      />
    </FormDialog>
  );
}
