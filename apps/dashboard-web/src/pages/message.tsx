import { Autocomplete, Button, Group, List, Table, Text, Timeline } from '@mantine/core';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';

import type { MessageDescription, MessageLife, MessageWhy } from '../api/schema.js';
import { useApi } from '../api/use-api.js';
import { bytes, count, moment } from '../parts/format.js';
import { Ago, Answered, Card, Mark, Mono, Page } from '../parts/show.js';
import { useLanguage, useWords } from '../text/text.js';

/** One message: its body, its life, and why a group has not consumed it. */
export function Message() {
  const { id } = useParams({ from: '/message/$id' });
  return <MessageAt key={id} id={id} />;
}

function MessageAt({ id }: { readonly id: string }) {
  const words = useWords();
  const message = useApi('describeMessage', { params: { id } }, { everyMs: 0 });
  const life = useApi('describeMessageLife', { params: { id } });
  return (
    <Page title={message.data?.messageId ?? words.messages}>
      <Answered of={message}>{(data) => <Facts message={data} />}</Answered>
      <Answered of={message}>{(data) => <Body message={data} />}</Answered>
      <Card title={words.life}>
        <Answered of={life}>{(data) => <Life life={data} />}</Answered>
      </Card>
      <Why id={id} groups={[...new Set((life.data?.events ?? []).flatMap(({ group }) => (group ? [group] : [])))]} />
    </Page>
  );
}

function Facts({ message }: { readonly message: MessageDescription }) {
  const words = useWords();
  const rows: readonly (readonly [string, React.ReactNode])[] = [
    [
      words.topic,
      <Link key="t" to="/topics/$name" params={{ name: message.topic }}>
        {message.topic}
      </Link>,
    ],
    ...(message.originTopic === undefined ? [] : [[words.originTopic, message.originTopic] as const]),
    [words.type, (words.messageTypes as Readonly<Record<string, string>>)[message.type] ?? message.type],
    [
      words.place,
      `${message.brokerSet} / ${message.queueId}${message.offset === undefined ? '' : ` / ${message.offset}`}`,
    ],
    [words.stored, <Ago key="s" ms={message.storedMs} />],
    ...(message.bornMs === 0 ? [] : [[words.born, <Ago key="b" ms={message.bornMs} />] as const]),
    ...(message.bornHost === '' ? [] : [[words.bornHost, message.bornHost] as const]),
    ...(message.dueMs === undefined ? [] : [[words.due, <Ago key="d" ms={message.dueMs} />] as const]),
    ...(message.tag === '' ? [] : [[words.tag, message.tag] as const]),
    ...(message.keys.length === 0 ? [] : [[words.keys, message.keys.join(', ')] as const]),
    ...(message.messageGroup === '' ? [] : [[words.messageGroup, message.messageGroup] as const]),
    ...(message.traceContext === '' ? [] : [[words.trace, <Mono key="c">{message.traceContext}</Mono>] as const]),
    ...Object.entries(message.properties).map(([name, value]) => [`${words.property} ${name}`, value] as const),
  ];
  return (
    <Card>
      <Table aria-label={words.message} withRowBorders={false} verticalSpacing={2}>
        <Table.Tbody>
          {rows.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th scope="row" w={220}>
                {name}
              </Table.Th>
              <Table.Td style={{ overflowWrap: 'anywhere' }}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Card>
  );
}

function Body({ message }: { readonly message: MessageDescription }) {
  const words = useWords();
  const { text, base64, cut, plainBytes, encoding, masked } = message;
  return (
    <Card title={words.body}>
      <Group gap="xs" mb="xs">
        <Mark color="gray">{bytes(plainBytes)}</Mark>
        {encoding !== 'identity' && <Mark color="gray">{encoding}</Mark>}
        {base64 !== undefined && <Mark color="gray">{words.binary}</Mark>}
        {cut && <Mark color="orange">{words.cut}</Mark>}
        {masked !== undefined && <Mark color="orange">{words.masked(masked)}</Mark>}
      </Group>
      {masked !== '*' && (
        <pre className="body" tabIndex={0} aria-label={words.body}>
          {text === undefined ? hexOf(base64 ?? '') : pretty(text, cut)}
        </pre>
      )}
    </Card>
  );
}

/** JSON is indented; everything else stays as it is. */
function pretty(text: string, cut: boolean): string {
  if (cut || !/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

function hexOf(base64: string): string {
  const plain = atob(base64);
  const lines: string[] = [];
  for (let at = 0; at < Math.min(plain.length, 16_384); at += 16) {
    const part = [...plain.slice(at, at + 16)];
    const hex = part.map((one) => one.charCodeAt(0).toString(16).padStart(2, '0')).join(' ');
    const shown = part.map((one) => (/[ -~]/.test(one) ? one : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(47)}  ${shown}`);
  }
  return lines.join('\n');
}

const colors: Readonly<Record<string, string>> = {
  acknowledged: 'green',
  deadLettered: 'red',
  dropped: 'red',
  expired: 'red',
  timeChanged: 'orange',
  clientGone: 'orange',
  handedBack: 'orange',
  delivered: 'indigo',
};

function Life({ life }: { readonly life: MessageLife }) {
  const words = useWords();
  return (
    <>
      <Timeline bulletSize={14} lineWidth={2} active={life.events.length} aria-label={words.life}>
        {life.events.map((event) => (
          <Timeline.Item
            key={`${event.position} ${event.kind} ${event.group ?? ''}`}
            color={colors[event.kind] ?? 'gray'}
            title={words.lifeEvents[event.kind]}
          >
            <Text size="sm">
              <Ago ms={event.atMs} />
              {event.group !== undefined && (
                <>
                  {' · '}
                  <Link to="/groups/$name" params={{ name: event.group }}>
                    {event.group}
                  </Link>
                </>
              )}
              {event.clientId !== undefined && (
                <>
                  {' · '}
                  <Mono>{event.clientId}</Mono>
                </>
              )}
              {event.attempt !== undefined && ` · ${words.attempt(event.attempt)}`}
              {event.untilMs !== undefined && ` · ${words.until(moment(event.untilMs))}`}
              {event.kind === 'moved' && ` · ${words.toOffset(count(event.offset))}`}
              {event.who !== undefined && ` · ${event.who}`}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {life.cut && <Text mt="sm">{words.lifeCut}</Text>}
    </>
  );
}

function Why({ id, groups }: { readonly id: string; readonly groups: readonly string[] }) {
  const words = useWords();
  const navigate = useNavigate();
  const { group } = useSearch({ from: '/message/$id' });
  const [typed, setTyped] = useState(group ?? '');
  const why = useApi(
    'whyNotConsumed',
    { params: { id }, query: { group: group ?? '' } },
    { enabled: group !== undefined, fresh: true },
  );
  const known = useApi('listGroups', { query: { limit: 20, contains: typed } }, { everyMs: 0, enabled: typed !== '' });
  const names = [...new Set([...groups, ...(known.data?.items ?? []).map(({ name }) => name)])];
  return (
    <Card title={words.why}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void navigate({ to: '/message/$id', params: { id }, search: { group: typed } });
        }}
      >
        <Group align="end" mb="sm">
          <Autocomplete label={words.group} value={typed} onChange={setTyped} data={names} />
          <Button type="submit" disabled={typed === ''}>
            {words.askWhy}
          </Button>
        </Group>
      </form>
      {group !== undefined && <Answered of={why}>{(data) => <Chain why={data} group={group} />}</Answered>}
    </Card>
  );
}

function Chain({ why, group }: { readonly why: MessageWhy; readonly group: string }) {
  const { words, said } = useLanguage();
  return (
    <>
      <Text fw={600} role="status" mb="xs">
        {said(why.text)}
        {why.verdict === 'alive' && (
          <>
            {' · '}
            <Link to="/dead-letters" search={{ group }}>
              {words.deadLetters}
            </Link>
          </>
        )}
      </Text>
      <List type="ordered" aria-label={words.why}>
        {why.steps.map(({ step, ok, text }) => (
          <List.Item key={step} aria-current={step === why.verdict ? 'step' : undefined}>
            {ok ? '✓' : '✗'} <b>{words.whySteps[step]}</b>: {said(text)}
          </List.Item>
        ))}
      </List>
    </>
  );
}
