import { Alert, Button, ColorSwatch, Group, Progress, Stack, Table, Text, Title } from '@mantine/core';
import { useLocation } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import type { BrokerSet, Cluster } from '../api/schema.js';
import { useApi, useChange } from '../api/use-api.js';
import { FormDialog } from '../parts/ask.js';
import { bytes, duration, percent } from '../parts/format.js';
import { Ago, Answered, Card, Count, Figure, Mark, Mono, Page, Trouble } from '../parts/show.js';
import type { Words } from '../text/en.js';
import { useLanguage, useWords } from '../text/text.js';

type ListedSet = Cluster['brokerSets'][number];

export function Brokers() {
  const words = useWords();
  const cluster = useApi('describeCluster', {});
  const { hash } = useLocation();
  const isThere = cluster.data !== undefined;
  useEffect(() => {
    // The browser looked for it before it was there.
    if (isThere && hash !== '') document.getElementById(hash)?.scrollIntoView();
  }, [isThere, hash]);
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

function SetCard({ set }: { readonly set: ListedSet }) {
  const { words, said } = useLanguage();
  const { state } = set;
  return (
    <Card title={set.name}>
      <Stack gap="sm">
        {set.problem !== undefined && (
          <Alert color="red" variant="light" role="status">
            {said(set.problem)}
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
  const { words, said } = useLanguage();
  const report = useApi('describeBrokerSet', { params: { name } });
  const elect = useChange('elect');
  /** To whom it is to be handed over; empty: to whichever is best. */
  const [to, setTo] = useState<string>();
  if (!report.data) return <Trouble error={report.error} />;
  const { members, says, failovers } = report.data;
  const close = (): void => {
    setTo(undefined);
    elect.reset();
  };
  const handOver = (member: string): void =>
    elect.mutate({ params: { name }, body: member === '' ? {} : { to: member } }, { onSuccess: close });
  return (
    <Stack gap="xs">
      {says !== 'single copy' && <Text>{said(says)}</Text>}
      <Table.ScrollContainer minWidth={640}>
        <Table aria-label={`${words.members}: ${name}`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{words.member}</Table.Th>
              <Table.Th>{words.role}</Table.Th>
              <Table.Th>{words.inSync}</Table.Th>
              <Table.Th ta="right">{words.behindLeader}</Table.Th>
              <Table.Th>{words.mayRestart}</Table.Th>
              <Table.Th>{words.actions}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {members.map((member) => (
              <Table.Tr key={member.member}>
                <Table.Td>
                  <Mono>{member.member}</Mono>
                </Table.Td>
                <Table.Td>{roleOf(words, said, member)}</Table.Td>
                <Table.Td>{member.inSync ? words.yes : words.no}</Table.Td>
                <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
                  {member.lagBytes === undefined
                    ? ''
                    : `${bytes(member.lagBytes)}${member.lagMs === undefined ? '' : ` / ${duration(member.lagMs)}`}`}
                </Table.Td>
                <Table.Td>
                  <Mark color={member.mayRestart ? 'green' : 'orange'}>{member.mayRestart ? words.yes : words.no}</Mark>{' '}
                  <Text span size="sm">
                    {said(member.restartSays)}
                  </Text>
                </Table.Td>
                <Table.Td>
                  {members.length > 1 && (member.leads || (member.counts && member.inSync)) && (
                    <Button
                      size="compact-xs"
                      variant="default"
                      onClick={() => setTo(member.leads ? '' : member.member)}
                    >
                      {member.leads ? words.handOver : words.letLead}
                    </Button>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Failovers name={name} failovers={failovers} />
      {to !== undefined && (
        <FormDialog
          {...{ title: words.handOverQuestion(name), onClose: close, submit: words.handOver }}
          onSubmit={() => handOver(to)}
          error={elect.error}
          busy={elect.isPending}
        >
          <Text>{to === '' ? words.handOverWhat : words.handOverTo(to)}</Text>
        </FormDialog>
      )}
    </Stack>
  );
}

function roleOf(
  words: Words,
  said: (text: string) => string,
  { problem, says, role, leads, counts }: BrokerSet['members'][number],
): string {
  if (problem !== undefined) return said(problem);
  const is = leads ? words.roles.leading : counts ? words.roles[role ?? 'following'] : words.roles.learner;
  if (says === undefined || says === '') return is;
  const text = said(says);
  return text.startsWith(is) ? text : `${is}: ${text}`;
}

const phases = [
  ['noticeMs', 'red.7'],
  ['promiseMs', 'orange.7'],
  ['fetchMs', 'yellow.7'],
  ['transactionMs', 'grape.7'],
  ['foldMs', 'blue.7'],
  ['startRecordMs', 'teal.7'],
] as const;

const failoversShown = 5;

/** When another member took over, and where the time went. */
function Failovers({ name, failovers }: { readonly name: string; readonly failovers: BrokerSet['failovers'] }) {
  const words = useWords();
  const [all, setAll] = useState(false);
  if (failovers.length === 0) return null;
  const tookMs = (failover: (typeof failovers)[number]): number =>
    phases.reduce((sum, [phase]) => sum + failover[phase], 0);
  const shown = all ? failovers : failovers.slice(0, failoversShown);
  const longestMs = Math.max(1, ...shown.map(tookMs));
  return (
    <Stack gap="xs">
      <Title order={3} size="h6">
        {words.failovers}
      </Title>
      <Group gap="md">
        {phases.map(([phase, color]) => (
          <Group key={phase} gap={6}>
            <ColorSwatch color={`var(--mantine-color-${color.replace('.', '-')})`} size={10} withShadow={false} />
            <Text size="xs">{words.phases[phase]}</Text>
          </Group>
        ))}
      </Group>
      <Table.ScrollContainer minWidth={640}>
        <Table aria-label={`${words.failovers}: ${name}`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{words.time}</Table.Th>
              <Table.Th>{words.epoch}</Table.Th>
              <Table.Th>{words.leader}</Table.Th>
              <Table.Th>{words.letterCause}</Table.Th>
              <Table.Th ta="right">{words.took}</Table.Th>
              <Table.Th miw={200}>{words.whereTimeWent}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map((failover) => (
              <Table.Tr key={failover.epoch}>
                <Table.Td>
                  <Ago ms={failover.atMs} />
                </Table.Td>
                <Table.Td>{failover.epoch}</Table.Td>
                <Table.Td>
                  <Mono>{failover.member}</Mono>
                </Table.Td>
                <Table.Td>{words.failoverReasons[failover.reason]}</Table.Td>
                <Table.Td ta="right">{duration(tookMs(failover))}</Table.Td>
                <Table.Td>
                  <Progress.Root
                    size="lg"
                    title={phases.map(([phase]) => `${words.phases[phase]} ${duration(failover[phase])}`).join(', ')}
                  >
                    {phases.map(([phase, color]) => (
                      <Progress.Section
                        key={phase}
                        value={(failover[phase] / longestMs) * 100}
                        color={color}
                        aria-label={`${words.phases[phase]} ${duration(failover[phase])}`}
                      />
                    ))}
                  </Progress.Root>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {failovers.length > failoversShown && !all && (
        <Group>
          <Button size="xs" variant="default" onClick={() => setAll(true)}>
            {words.showAll(failovers.length)}
          </Button>
        </Group>
      )}
    </Stack>
  );
}

function DiskBar({ used, free }: { readonly used: number; readonly free: number }) {
  const words = useWords();
  const part = used / Math.max(1, used + free);
  return (
    <Stack gap={4}>
      <Text size="sm">{words.diskUsed(percent(part))}</Text>
      <Progress value={part * 100} color={part > 0.85 ? 'red' : 'indigo'} aria-label={words.diskUsed(percent(part))} />
    </Stack>
  );
}
