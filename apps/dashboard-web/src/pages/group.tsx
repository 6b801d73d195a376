import { Alert, Button, Group as Row, NumberInput, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { GroupDescription } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog, LossDialog } from '../parts/ask.js';
import { useGrace } from '../parts/deleted.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { count, moment, duration, sdk } from '../parts/format.js';
import { Answered, Card, Count, Figure, Missing, Mono, Page, Trouble } from '../parts/show.js';
import { useLanguage, useWords } from '../text/text.js';
import { GroupHistory } from './group-history.js';
import { GroupLanesCard } from './group-lanes.js';
import { MoveGroup, Moves } from './group-moves.js';

type Queue = GroupDescription['queues'][number];
type Member = GroupDescription['members'][number];
/** Pauses without an end are as far away as a number goes. */
const foreverMs = 8.64e15;

/** Each has its own state: a dialog that is open over one is not about the next one. */
export function Group() {
  const { name } = useParams({ from: '/groups/$name' });
  return <GroupNamed key={name} name={name} />;
}

function GroupNamed({ name }: { readonly name: string }) {
  const { words, said } = useLanguage();
  const group = useApi('describeGroup', { params: { name } });
  const resume = useChange('resumeGroup');
  const [pausing, pause] = useDisclosure();
  const [moving, move] = useDisclosure();
  const [deleting, ask] = useDisclosure();
  const paused = group.data?.pausedUntilMs !== undefined && group.data.pausedUntilMs > Date.now();
  return (
    <Page
      title={name}
      actions={
        group.data && (
          <>
            {paused ? (
              <Button variant="default" loading={resume.isPending} onClick={() => resume.mutate({ params: { name } })}>
                {words.resume}
              </Button>
            ) : (
              <Button variant="default" onClick={pause.open}>
                {words.pause}
              </Button>
            )}
            <Button variant="default" onClick={move.open}>
              {words.move}
            </Button>
            <Button color="red" variant="light" onClick={ask.open}>
              {words.remove}
            </Button>
          </>
        )
      }
    >
      <Answered of={group}>
        {(data) => (
          <>
            <Missing sets={data.missing} />
            <Trouble error={resume.error} />
            {paused && <Paused untilMs={data.pausedUntilMs ?? 0} />}
            {data.warnings.map((warning) => (
              <Alert key={warning} color="orange" variant="light" role="status">
                {said(warning)}
              </Alert>
            ))}
            <Row gap="sm">
              <Figure label={words.lag} value={<Count value={data.lag} />} hint={words.lagHint} />
              <Figure label={words.ready} value={<Count value={data.ready} />} />
              <Figure label={words.inFlight} value={<Count value={data.inFlight} />} />
              {data.fifo && <Figure label={words.blocked} value={<Count value={data.blocked} />} />}
              {data.fifo && <Figure label={words.lanes} value={<Count value={data.lanes} />} />}
              <DeadLetters group={name} />
              <Figure label={words.members} value={<Count value={data.members.length} />} />
              <Figure label={words.order} value={data.fifo ? words.fifo : words.concurrent} />
              <Figure label={words.attemptsLimit} value={<Count value={data.attemptsMax} />} />
            </Row>
            <GroupHistory name={name} lag={data.lag} />
            <Moves name={name} />
            {data.fifo && <GroupLanesCard name={name} />}
            <Members members={data.members} />
            <Queues queues={data.queues} />
            {moving && <MoveGroup name={name} topics={topicsOf(data)} onClose={move.close} />}
            {pausing && <PauseGroup name={name} onClose={pause.close} />}
            {deleting && <DeleteGroup group={data} onClose={ask.close} />}
          </>
        )}
      </Answered>
    </Page>
  );
}

/** How many there are, and the way to them. */
function DeadLetters({ group }: { readonly group: string }) {
  const words = useWords();
  const { data } = useApi('listDeadLetters', {}, { everyMs: 10_000 });
  if (!data) return null;
  const messages = data.items.find((item) => item.group === group)?.messages ?? 0;
  const link = (
    <Link to="/dead-letters" search={{ group }}>
      <Count value={messages} />
    </Link>
  );
  return <Figure label={words.deadLetters} value={messages === 0 ? <Count value={0} /> : link} />;
}

const topicsOf = ({ queues, members }: GroupDescription): readonly string[] => [
  ...new Set([
    ...queues.map(({ topic }) => topic),
    ...members.flatMap((member) => member.subscriptions.map(({ topic }) => topic)),
  ]),
];

function Paused({ untilMs }: { readonly untilMs: number }) {
  const words = useWords();
  return (
    <Alert color="orange" variant="light" role="status">
      {untilMs >= foreverMs ? words.pausedForGood : words.pausedUntil(moment(untilMs))}
    </Alert>
  );
}

function Members({ members }: { readonly members: readonly Member[] }) {
  const words = useWords();
  const columns = useMemo<Column<Member>[]>(
    () => [
      {
        id: 'client',
        head: words.clientId,
        by: ({ clientId }) => clientId,
        cell: ({ clientId }) => <Mono>{clientId}</Mono>,
      },
      { id: 'sdk', head: words.sdk, by: ({ language }) => sdk(language), cell: ({ language }) => sdk(language) },
      { id: 'version', head: words.version, by: ({ version }) => version, cell: ({ version }) => version },
      {
        ...{ id: 'subscriptions', head: words.subscriptions },
        cell: ({ subscriptions }) => (
          <Stack gap={2}>
            {subscriptions.map(({ topic, filter, expression }) => (
              <Text key={topic} size="sm">
                <Link to="/topics/$name" params={{ name: topic }}>
                  {topic}
                </Link>{' '}
                {filter} <Mono>{expression}</Mono>
              </Text>
            ))}
          </Stack>
        ),
      },
      { id: 'sets', head: words.brokerSet, cell: ({ brokerSets }) => brokerSets.join(', ') },
    ],
    [words],
  );
  return (
    <Card title={words.members}>
      <DataTable
        rows={members}
        columns={columns}
        idOf={({ clientId }) => clientId}
        label={words.members}
        empty={words.emptyMembers}
      />
    </Card>
  );
}

function Queues({ queues }: { readonly queues: readonly Queue[] }) {
  const words = useWords();
  const columns = useMemo<Column<Queue>[]>(() => {
    const figure = (id: 'lag' | 'ready' | 'inFlight' | 'committed' | 'frontier' | 'maxOffset', head: string) => ({
      ...{ id, head, right: true, by: (row: Queue) => row[id] },
      cell: (row: Queue) => <Count value={row[id]} />,
    });
    return [
      { id: 'topic', head: words.topic, by: ({ topic }) => topic, cell: ({ topic }) => topic },
      { id: 'set', head: words.brokerSet, by: ({ brokerSet }) => brokerSet, cell: ({ brokerSet }) => brokerSet },
      { id: 'queue', head: words.queue, by: ({ queueId }) => queueId, cell: ({ queueId }) => queueId, right: true },
      figure('lag', words.lag),
      figure('ready', words.ready),
      figure('inFlight', words.inFlight),
      figure('committed', words.committed),
      figure('frontier', words.frontier),
      figure('maxOffset', words.next),
    ];
  }, [words]);
  return (
    <Card title={words.queues}>
      <DataTable
        rows={queues}
        columns={columns}
        idOf={({ topic, brokerSet, queueId }) => `${topic}/${brokerSet}/${queueId}`}
        label={words.queues}
        empty={words.emptyGroupQueues}
      />
    </Card>
  );
}

function PauseGroup({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const words = useWords();
  const pause = useChange('pauseGroup');
  const [minutes, setMinutes] = useState<string | number>('');
  const submit = (): void =>
    pause.mutate(
      { params: { name }, body: minutes === '' ? null : { forMs: Number(minutes) * 60_000 } },
      { onSuccess: onClose },
    );
  return (
    <FormDialog
      {...{ title: `${words.pause}: ${name}`, onClose, submit: words.pause, onSubmit: submit }}
      error={pause.error}
      busy={pause.isPending}
    >
      <NumberInput label={words.pauseFor} value={minutes} min={1} onChange={setMinutes} data-autofocus />
    </FormDialog>
  );
}

function DeleteGroup({ group, onClose }: { readonly group: GroupDescription; readonly onClose: () => void }) {
  const words = useWords();
  const navigate = useNavigate();
  const remove = useChange('deleteGroup');
  const grace = useGrace();
  return (
    <LossDialog
      {...{ title: words.deleteGroup(group.name), onClose, name: group.name }}
      loss={
        <>
          {words.deleteGroupLoss(count(group.lag), count(group.members.length))}{' '}
          {grace === undefined ? words.deleteForGood : words.deleteUndo(duration(grace))}
        </>
      }
      error={remove.error}
      busy={remove.isPending}
      onConfirm={() =>
        remove.mutate({ params: { name: group.name } }, { onSuccess: () => void navigate({ to: '/groups' }) })
      }
    />
  );
}
