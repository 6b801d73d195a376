import { Alert, Button, Group, Progress, Stack, Table, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';

import type { Cluster } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog } from '../parts/ask.js';
import { bytes, duration, percent } from '../parts/format.js';
import { Ago, Answered, Card, Count, Figure, Mark, Mono, Page } from '../parts/show.js';
import { useWords } from '../text/text.js';

type BrokerSet = Cluster['brokerSets'][number];

export function Brokers() {
  const words = useWords();
  const cluster = useApi('describeCluster', {});
  return (
    <Page title={words.brokers}>
      <Answered of={cluster}>
        {({ brokerSets }) => (
          <Stack gap="md">
            {brokerSets.map((set) => (
              <div key={set.name} id={set.name}>
                <SetCard set={set} />
              </div>
            ))}
          </Stack>
        )}
      </Answered>
    </Page>
  );
}

function SetCard({ set }: { readonly set: BrokerSet }) {
  const words = useWords();
  const { state } = set;
  return (
    <Card title={set.name}>
      <Stack gap="sm">
        {set.problem !== undefined && (
          <Alert color="red" variant="light" role="status">
            {set.problem}
          </Alert>
        )}
        <Group gap="xs">
          {set.leader === undefined && set.leaderMember === undefined ? (
            <Mark color="red">{words.nobodyLeads}</Mark>
          ) : (
            <Text>
              {words.leader}: <Mono>{set.leaderMember ?? set.leader}</Mono>
            </Text>
          )}
          <Mark color={set.inSync.length > 1 ? 'green' : 'orange'}>
            {set.inSync.length > 1 ? words.protectedIn(set.inSync.length) : words.singleCopy}
          </Mark>
        </Group>
        <Group gap="sm">
          <Figure label={words.epoch} value={set.epoch} />
          <Figure label={words.takesMessages} value={set.writable ? words.yes : words.no} />
          {state && (
            <>
              <Figure label={words.version} value={state.version} />
              <Figure label={words.disk} value={bytes(state.diskBytes)} />
              <Figure label={words.free} value={bytes(state.freeBytes)} />
              <Figure label={words.polls} value={<Count value={state.waitingPolls} />} />
              <Figure label={words.clientsConnected} value={<Count value={state.sessions} />} />
              {state.oldestMs > 0 && <Figure label={words.oldest} value={<Ago ms={state.oldestMs} />} />}
            </>
          )}
        </Group>
        <Members name={set.name} />
        {state && <DiskBar used={state.diskBytes} free={state.freeBytes} />}
        <Text size="sm">
          {words.inSync}: <Mono>{set.inSync.join(', ')}</Mono>
        </Text>
      </Stack>
    </Card>
  );
}

/** As the members themselves tell it. */
function Members({ name }: { readonly name: string }) {
  const words = useWords();
  const report = useApi('describeBrokerSet', { params: { name } });
  const elect = useChange('elect');
  const [asking, ask] = useDisclosure();
  const { data } = report;
  if (!data) return null;
  const { members, protection, says, lastFailover } = data;
  return (
    <Stack gap="xs">
      <Text>
        {says} {members.length > 1 && (protection === 'protected' ? words.mayRestart : words.mayNotRestart)}
      </Text>
      {members.length > 1 && (
        <Table aria-label={`${words.member}: ${name}`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{words.member}</Table.Th>
              <Table.Th>{words.role}</Table.Th>
              <Table.Th>{words.inSync}</Table.Th>
              <Table.Th ta="right">{words.behindLeader}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {members.map((member) => (
              <Table.Tr key={member.member}>
                <Table.Td>
                  <Mono>{member.member}</Mono>
                </Table.Td>
                <Table.Td>{member.problem ?? member.says ?? member.role ?? ''}</Table.Td>
                <Table.Td>{member.inSync ? words.yes : words.no}</Table.Td>
                <Table.Td ta="right">
                  {member.lagBytes === undefined
                    ? ''
                    : `${bytes(member.lagBytes)}${member.lagMs === undefined ? '' : ` / ${duration(member.lagMs)}`}`}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {lastFailover && (
        <Text size="sm">
          {words.lastFailover}: <Ago ms={lastFailover.atMs} /> ({lastFailover.reason}){' '}
          {words.phases(
            (['noticeMs', 'promiseMs', 'fetchMs', 'transactionMs', 'startRecordMs', 'foldMs'] as const)
              .map((phase) => `${phase.slice(0, -2)} ${lastFailover[phase]} ms`)
              .join(', '),
          )}
        </Text>
      )}
      {members.length > 1 && (
        <Group>
          <Button size="xs" variant="default" onClick={ask.open}>
            {words.handOver}
          </Button>
        </Group>
      )}
      {asking && (
        <FormDialog
          {...{ title: words.handOverQuestion(name), onClose: ask.close, submit: words.handOver }}
          onSubmit={() => elect.mutate({ params: { name }, body: {} }, { onSuccess: ask.close })}
          error={elect.error}
          busy={elect.isPending}
        >
          <Text>{words.handOverWhat}</Text>
        </FormDialog>
      )}
    </Stack>
  );
}

function DiskBar({ used, free }: { readonly used: number; readonly free: number }) {
  const words = useWords();
  const part = used / Math.max(1, used + free);
  return (
    <Progress
      value={part * 100}
      color={part > 0.85 ? 'red' : 'indigo'}
      aria-label={`${words.disk}: ${percent(part)}`}
    />
  );
}
