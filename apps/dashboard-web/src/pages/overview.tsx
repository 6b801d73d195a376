import { Alert, Anchor, Group, List, Table, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import type { Alerts, Cluster, GroupItem } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { bytes, count, percent } from '../parts/format.js';
import { Answered, Card, Count, Figure, Mark, Page } from '../parts/show.js';
import type { Words } from '../text/en.js';
import { useLanguage, useWords } from '../text/text.js';

type Firing = Alerts['firing'][number];

interface Worry {
  readonly key: string;
  /** The highest is told first. */
  readonly weight: number;
  readonly text: string;
  readonly where: ReactNode;
}

const shownMax = 5;
/** Whose progress is asked for; alerts are of all. */
const groupsMax = 1_000;
const freeMin = 0.15;

/** Is it all right: one sentence, and the five worst things, each a link to its cause. */
export function Overview() {
  const { words, said } = useLanguage();
  const cluster = useApi('describeCluster', {});
  const groups = useApi('listGroups', { query: { progress: 'true', limit: groupsMax } }, { everyMs: 5_000 });
  const alerts = useApi('listAlerts', {}, { everyMs: 5_000 });
  return (
    <Page title={words.overview}>
      <Answered of={cluster}>
        {(state) => {
          const worries = worriesOf(words, said, state, groups.data?.items ?? [], alerts.data?.firing ?? []);
          return (
            <>
              <Verdict state={state} worries={worries} />
              {state.hints?.map((hint) => (
                <Alert key={hint} color="yellow" variant="light">
                  <Anchor component={Link} to="/access">
                    {words.access}
                  </Anchor>
                  : {said(hint)}
                </Alert>
              ))}
              <Figures state={state} />
            </>
          );
        }}
      </Answered>
      <Card title={words.topLag}>
        <Answered of={groups}>
          {(page) => (
            <>
              <TopLag groups={page.items} />
              {page.next !== undefined && (
                <Text size="sm">{words.firstGroups(count(groupsMax), count(page.total))}</Text>
              )}
            </>
          )}
        </Answered>
      </Card>
    </Page>
  );
}

function Verdict({ state, worries }: { state: Cluster; worries: readonly Worry[] }) {
  const words = useWords();
  const well = worries.length === 0;
  const sets = state.brokerSets.length;
  return (
    <Alert
      color={well ? 'green' : 'red'}
      variant="light"
      role="status"
      title={well ? words.allWell : words.notWell(worries.length)}
    >
      {well ? (
        words.allWellWhy(sets, state.topics, state.groups)
      ) : (
        <List type="ordered" aria-label={words.worst}>
          {worries.slice(0, shownMax).map(({ key, text, where }) => (
            <List.Item key={key}>
              {where}: {text}
            </List.Item>
          ))}
        </List>
      )}
    </Alert>
  );
}

function worriesOf(
  words: Words,
  said: (text: string) => string,
  state: Cluster,
  groups: readonly GroupItem[],
  firing: readonly Firing[],
): Worry[] {
  const brokers = (name: string): ReactNode => (
    <Anchor component={Link} to="/brokers" hash={name}>
      {name}
    </Anchor>
  );
  const worries: Worry[] = state.reasons.map((reason, i) => {
    const set = state.brokerSets.find(({ name }) => reason.startsWith(`${name}: `))?.name;
    const text = said(set === undefined ? reason : reason.slice(set.length + 2));
    return { key: `reason ${i}`, weight: 4e15 - i, text, where: brokers(set ?? words.brokers) };
  });
  for (const { name, state: broker } of state.brokerSets) {
    if (!broker) continue;
    const free = broker.freeBytes / Math.max(1, broker.freeBytes + broker.diskBytes);
    if (free >= freeMin) continue;
    worries.push({ key: `disk ${name}`, weight: 3e15, text: words.diskLow(percent(free)), where: brokers(name) });
  }
  for (const { name, progress, pausedUntilMs = 0 } of groups) {
    // As the alert goes: of a group that is paused nobody has to consume.
    if (!progress || progress.lag === 0 || progress.members > 0 || pausedUntilMs > Date.now()) continue;
    worries.push({
      key: `group ${name}`,
      weight: progress.lag,
      text: words.nobodyConsumes(count(progress.lag)),
      where: <GroupLink name={name} />,
    });
  }
  const known = new Set(worries.map(({ key }) => key));
  // What is told above by what it is now is not told once more.
  const isTold = ({ rule, subject }: Firing): boolean => {
    if (rule === 'noConsumer') return known.has(`group ${subject}`);
    if (rule === 'diskLow') return known.has(`disk ${subject}`);
    return ['noLeader', 'brokerSilent'].includes(rule) && state.reasons.some((one) => one.startsWith(`${subject}: `));
  };
  for (const alert of firing) {
    if (alert.silenced || isTold(alert)) continue;
    const weight = alert.severity === 'critical' ? 3.5e15 : 2e15;
    worries.push({ key: alert.key, weight, text: said(alert.text), where: <AlertLink words={words} alert={alert} /> });
  }
  return worries.sort((a, b) => b.weight - a.weight);
}

function AlertLink({ words, alert: { rule, subject } }: { readonly words: Words; readonly alert: Firing }) {
  if (rule === 'deadLetters') {
    return (
      <Link to="/dead-letters" search={{ group: subject }}>
        {subject}
      </Link>
    );
  }
  if (rule === 'consumerLag' || rule === 'noConsumer') return <GroupLink name={subject} />;
  if (rule === 'certificate') return <Link to="/alerts">{words.alerts}</Link>;
  return (
    <Link to="/brokers" hash={subject}>
      {subject}
    </Link>
  );
}

function GroupLink({ name }: { name: string }) {
  return (
    <Anchor component={Link} to={`/groups/${encodeURIComponent(name)}`}>
      {name}
    </Anchor>
  );
}

function Figures({ state }: { state: Cluster }) {
  const words = useWords();
  const brokers = state.brokerSets.flatMap((set) => (set.state ? [set.state] : []));
  const sum = (figure: 'freeBytes' | 'diskBytes' | 'waitingPolls' | 'sessions'): number =>
    brokers.reduce((total, broker) => total + broker[figure], 0);
  return (
    <Group gap="sm">
      <Figure label={words.brokers} value={<Count value={state.brokerSets.length} />} />
      <Figure label={words.topics} value={<Count value={state.topics} />} />
      <Figure label={words.groups} value={<Count value={state.groups} />} />
      <Figure label={words.disk} value={bytes(sum('diskBytes'))} />
      <Figure label={words.free} value={bytes(sum('freeBytes'))} />
      <Figure label={words.polls} value={<Count value={sum('waitingPolls')} />} />
    </Group>
  );
}

function TopLag({ groups }: { groups: readonly GroupItem[] }) {
  const words = useWords();
  const top = groups
    .filter(({ progress }) => progress && progress.lag > 0)
    .sort((a, b) => (b.progress?.lag ?? 0) - (a.progress?.lag ?? 0))
    .slice(0, 10);
  if (top.length === 0) return <Text c="var(--comet-quiet)">{words.emptyLag}</Text>;
  return (
    <Table aria-label={words.topLag}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{words.name}</Table.Th>
          <Table.Th ta="right">{words.lag}</Table.Th>
          <Table.Th ta="right">{words.inFlight}</Table.Th>
          <Table.Th ta="right">{words.members}</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {top.map(({ name, progress, pausedUntilMs }) => (
          <Table.Tr key={name}>
            <Table.Td>
              <Group gap="xs">
                <GroupLink name={name} />
                {pausedUntilMs !== undefined && pausedUntilMs > Date.now() && (
                  <Mark color="orange">{words.isPaused}</Mark>
                )}
              </Group>
            </Table.Td>
            <Table.Td ta="right">
              <Count value={progress?.lag ?? 0} />
            </Table.Td>
            <Table.Td ta="right">
              <Count value={progress?.inFlight ?? 0} />
            </Table.Td>
            <Table.Td ta="right">
              <Count value={progress?.members ?? 0} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
