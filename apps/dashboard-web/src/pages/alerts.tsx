import { Alert, NativeSelect } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import type { Alerts as AlertsState } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { Act } from '../parts/act.js';
import { DataTable, type Column } from '../parts/data-table.js';
import { Ago, Answered, Card, Mark, Page } from '../parts/show.js';
import { useLanguage, useWords } from '../text/text.js';

type Firing = AlertsState['firing'][number];
type Event = AlertsState['history'][number];
const hourMs = 3_600_000;

/** What is wrong now, what was, and who wants to hear no more of it. */
export function Alerts() {
  const words = useWords();
  const alerts = useApi('listAlerts', {});
  const [hours, setHours] = useState('1');
  const firing = useMemo<Column<Firing>[]>(
    () => [
      {
        ...{ id: 'severity', head: words.severity, by: ({ severity }) => severity },
        cell: ({ severity }) => (
          <Mark color={severity === 'critical' ? 'red' : 'orange'}>{words.severities[severity]}</Mark>
        ),
      },
      { id: 'text', head: words.alert, cell: (row) => <Subject alert={row} /> },
      { id: 'since', head: words.since, by: ({ sinceMs }) => sinceMs, cell: ({ sinceMs }) => <Ago ms={sinceMs} /> },
      {
        ...{ id: 'actions', head: words.actions },
        cell: ({ key, silenced }) =>
          silenced ? (
            <Act does="unsilenceAlert" input={{ params: { key } }}>
              {words.unsilence}
            </Act>
          ) : (
            <Act does="silenceAlert" input={{ body: { key, forMs: Number(hours) * hourMs } }}>
              {words.silence}
            </Act>
          ),
      },
    ],
    [words, hours],
  );
  const history = useMemo<Column<Event>[]>(
    () => [
      { id: 'at', head: words.time, by: ({ atMs }) => atMs, cell: ({ atMs }) => <Ago ms={atMs} /> },
      {
        ...{ id: 'event', head: words.event, by: ({ event }) => event },
        cell: ({ event }) => <Mark color={event === 'fired' ? 'red' : 'green'}>{words.alertEvents[event]}</Mark>,
      },
      { id: 'text', head: words.alert, cell: (row) => <Subject alert={row} /> },
      { id: 'silenced', head: words.silenced, cell: ({ silenced }) => (silenced ? words.yes : '') },
    ],
    [words],
  );
  return (
    <Page
      title={words.alerts}
      actions={
        <NativeSelect
          aria-label={words.silenceFor}
          value={hours}
          onChange={(event) => setHours(event.currentTarget.value)}
          data={['1', '4', '24', '168'].map((value) => ({ value, label: `${words.silenceFor}: ${value} h` }))}
        />
      }
    >
      <Answered of={alerts}>
        {(data) => (
          <>
            {!data.watching && (
              <Alert color="orange" variant="light" role="status">
                {words.notWatching}
              </Alert>
            )}
            <Card title={words.firing}>
              <DataTable
                rows={data.firing}
                columns={firing}
                idOf={({ key }) => key}
                label={words.firing}
                empty={words.emptyFiring}
              />
            </Card>
            <Card title={words.alertHistory}>
              <DataTable
                rows={data.history}
                columns={history}
                idOf={({ key, atMs, event }) => `${key} ${atMs} ${event}`}
                label={words.alertHistory}
                empty={words.emptyHistory}
              />
            </Card>
          </>
        )}
      </Answered>
    </Page>
  );
}

const aboutSets: readonly string[] = ['noLeader', 'brokerSilent', 'singleCopy', 'diskLow'];

function Subject({
  alert: { rule, subject, text: english },
}: {
  readonly alert: Pick<Firing, 'rule' | 'subject' | 'text'>;
}) {
  const text = useLanguage().said(english);
  if (rule === 'certificate') return text;
  return aboutSets.includes(rule) ? (
    <Link to="/brokers" hash={subject}>
      {text}
    </Link>
  ) : (
    <Link to="/groups/$name" params={{ name: subject }}>
      {text}
    </Link>
  );
}
