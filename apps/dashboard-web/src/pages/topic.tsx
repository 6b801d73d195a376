import { Button, Group, NativeSelect, NumberInput, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { GroupItem, TopicDescription } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog, LossDialog } from '../parts/ask.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { useGrace } from '../parts/deleted.js';
import { bytes, count, duration } from '../parts/format.js';
import { Ago, Answered, Card, Count, Figure, Missing, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

type Queue = TopicDescription['queues'][number];
const permissions = ['readWrite', 'read', 'write', 'none'] as const;

/** Each has its own state: a dialog that is open over one is not about the next one. */
export function Topic() {
  const { name } = useParams({ from: '/topics/$name' });
  return <TopicNamed key={name} name={name} />;
}

function TopicNamed({ name }: { readonly name: string }) {
  const words = useWords();
  const topic = useApi('describeTopic', { params: { name } });
  const [changing, change] = useDisclosure();
  const [deleting, ask] = useDisclosure();
  const columns = useMemo<Column<Queue>[]>(
    () => [
      { id: 'set', head: words.brokerSet, by: ({ brokerSet }) => brokerSet, cell: ({ brokerSet }) => brokerSet },
      { id: 'queue', head: words.queue, by: ({ queueId }) => queueId, cell: ({ queueId }) => queueId, right: true },
      { id: 'first', head: words.first, cell: ({ minOffset }) => <Count value={minOffset} />, right: true },
      { id: 'next', head: words.next, cell: ({ maxOffset }) => <Count value={maxOffset} />, right: true },
      {
        ...{ id: 'messages', head: words.messagesCount, right: true },
        ...{ by: ({ minOffset, maxOffset }) => maxOffset - minOffset },
        cell: ({ minOffset, maxOffset }) => <Count value={maxOffset - minOffset} />,
      },
    ],
    [words],
  );
  return (
    <Page
      title={name}
      actions={
        topic.data && (
          <>
            <Link to="/messages" search={{ topic: name }}>
              {words.messagesOf}
            </Link>
            <Button variant="default" onClick={change.open}>
              {words.change}
            </Button>
            <Button color="red" variant="light" onClick={ask.open}>
              {words.remove}
            </Button>
          </>
        )
      }
    >
      <Answered of={topic}>
        {(data) => (
          <>
            <Missing sets={data.missing} />
            <Group gap="sm">
              <Figure label={words.messagesCount} value={<Count value={data.messages} />} />
              <Figure label={words.bytes} value={bytes(data.bytes)} />
              <Figure label={words.type} value={words.messageTypes[data.type]} />
              <Figure label={words.permission} value={words.permissions[data.permission]} />
              <Figure
                label={words.retention}
                value={data.retentionMs === undefined ? words.byDefault : duration(data.retentionMs)}
              />
              {data.bodyMask !== undefined && <Figure label={words.bodyMask} value={data.bodyMask} />}
              <Figure label={words.created} value={<Ago ms={data.createdMs} />} />
            </Group>
            <Card title={words.queues}>
              <DataTable
                rows={data.queues}
                columns={columns}
                idOf={({ brokerSet, queueId }) => `${brokerSet}/${queueId}`}
                label={words.queues}
              />
            </Card>
            <Readers topic={name} />
            {changing && <ChangeTopic topic={data} onClose={change.close} />}
            {deleting && <DeleteTopic topic={data} onClose={ask.close} />}
          </>
        )}
      </Answered>
    </Page>
  );
}

/** Of how many groups it is asked what they read. */
const groupsMax = 1_000;

function Readers({ topic }: { readonly topic: string }) {
  const words = useWords();
  const groups = useApi('listGroups', { query: { progress: 'true', limit: groupsMax } }, { everyMs: 15_000 });
  const columns = useMemo<Column<GroupItem>[]>(() => {
    const lagOf = ({ progress }: GroupItem): number => progress?.topics.find((one) => one.topic === topic)?.lag ?? 0;
    return [
      {
        ...{ id: 'name', head: words.name, by: ({ name }) => name },
        cell: ({ name }) => (
          <Link to="/groups/$name" params={{ name }}>
            {name}
          </Link>
        ),
      },
      { id: 'lag', head: words.lag, right: true, by: lagOf, cell: (group) => <Count value={lagOf(group)} /> },
      {
        ...{ id: 'members', head: words.members, right: true, by: ({ progress }) => progress?.members ?? 0 },
        cell: ({ progress }) => <Count value={progress?.members ?? 0} />,
      },
    ];
  }, [words, topic]);
  return (
    <Card title={words.readBy}>
      <Answered of={groups}>
        {({ items, next, total }) => (
          <>
            <DataTable
              rows={items.filter(({ progress }) => progress?.topics.some((one) => one.topic === topic))}
              columns={columns}
              idOf={({ name }) => name}
              label={words.readBy}
              empty={words.readByNobody}
            />
            {next !== undefined && <Text size="sm">{words.firstGroupsOf(count(groupsMax), count(total))}</Text>}
          </>
        )}
      </Answered>
    </Card>
  );
}

function ChangeTopic({ topic, onClose }: { readonly topic: TopicDescription; readonly onClose: () => void }) {
  const words = useWords();
  const update = useChange('updateTopic');
  const [writeQueues, setWriteQueues] = useState(topic.writeQueues);
  const [permission, setPermission] = useState(topic.permission);
  const [hours, setHours] = useState<string | number>(
    topic.retentionMs === undefined ? '' : topic.retentionMs / 3_600_000,
  );
  const [bodyMask, setBodyMask] = useState(topic.bodyMask ?? '');
  const submit = (): void =>
    update.mutate(
      {
        params: { name: topic.name },
        body: {
          writeQueues,
          permission,
          retentionMs: hours === '' ? 0 : Number(hours) * 3_600_000,
          // It is changed by those alone who may see what it hides.
          ...(bodyMask !== (topic.bodyMask ?? '') && { bodyMask }),
        },
      },
      { onSuccess: onClose },
    );
  return (
    <FormDialog
      {...{ title: `${words.settings}: ${topic.name}`, onClose, submit: words.save, onSubmit: submit }}
      error={update.error}
      busy={update.isPending}
    >
      <NumberInput
        label={words.writeQueues}
        value={writeQueues}
        min={1}
        max={1024}
        onChange={(value) => setWriteQueues(Number(value))}
      />
      <NativeSelect
        label={words.permission}
        data={permissions.map((value) => ({ value, label: words.permissions[value] }))}
        value={permission}
        onChange={(event) => setPermission(event.currentTarget.value as TopicDescription['permission'])}
      />
      <NumberInput label={words.retentionHours} value={hours} min={0} onChange={setHours} />
      <TextInput
        label={words.bodyMask}
        description={words.bodyMaskHelp}
        value={bodyMask}
        onChange={(event) => setBodyMask(event.currentTarget.value.trim())}
      />
    </FormDialog>
  );
}

function DeleteTopic({ topic, onClose }: { readonly topic: TopicDescription; readonly onClose: () => void }) {
  const words = useWords();
  const navigate = useNavigate();
  const remove = useChange('deleteTopic');
  const grace = useGrace();
  const query = { topic: topic.name, limit: 1 };
  const delayed = useApi('listDelayed', { query }, { everyMs: 0 });
  const open = useApi('listTransactions', { query }, { everyMs: 0 });
  const waiting = (delayed.data?.total ?? 0) + (open.data?.total ?? 0);
  const answers = [delayed, open];
  const unknown =
    topic.missing.length > 0 || answers.some(({ error, data }) => error !== null || (data && data.missing.length > 0));
  const { unread } = topic;
  return (
    <LossDialog
      {...{ title: words.deleteTopic(topic.name), onClose, name: topic.name }}
      loss={
        <>
          {words.deleteTopicLoss(count(topic.messages), bytes(topic.bytes))}{' '}
          {unread > 0 && `${words.deleteTopicUnread(count(unread))} `}
          {waiting > 0 && `${words.deleteTopicWaiting(count(waiting))} `}
          {unknown && `${words.deleteTopicUnknown} `}
          {grace === undefined ? words.deleteForGood : words.deleteUndo(duration(grace))}
        </>
      }
      error={remove.error}
      busy={remove.isPending}
      ready={answers.every(({ isPending }) => !isPending)}
      onConfirm={() =>
        remove.mutate({ params: { name: topic.name } }, { onSuccess: () => void navigate({ to: '/topics' }) })
      }
    />
  );
}
