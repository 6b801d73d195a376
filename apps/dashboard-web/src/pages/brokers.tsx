import { Alert, Group, Progress, Stack, Text } from '@mantine/core';

import type { Cluster } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { bytes, percent } from '../parts/format.js';
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
        {state && <DiskBar used={state.diskBytes} free={state.freeBytes} />}
        <Text size="sm">
          {words.inSync}: <Mono>{set.inSync.join(', ')}</Mono>
        </Text>
      </Stack>
    </Card>
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
