import { Autocomplete, Button, Group, Progress, SimpleGrid, Text, TextInput } from '@mantine/core';
import { useNavigate, useSearch as useQuery } from '@tanstack/react-router';
import { useState } from 'react';

import { useApi } from '../api/use-api.js';
import { count } from '../parts/format.js';
import { MessageTable } from '../parts/message-table.js';
import { Card, Missing, Page, Trouble } from '../parts/show.js';
import { useSearch } from '../parts/use-search.js';
import { useWords } from '../text/text.js';

const fields = ['topic', 'id', 'key', 'tag', 'messageGroup', 'property', 'value', 'text', 'from', 'to'] as const;
type Form = { [Field in (typeof fields)[number]]?: string };

/** Finds messages by anything; what was asked for is in the address. */
export function Messages() {
  const words = useWords();
  const navigate = useNavigate();
  const asked: Form = useQuery({ from: '/messages' });
  const complete = asked.topic !== undefined || asked.id !== undefined;
  const found = useSearch(complete ? queryOf(asked) : undefined);
  return (
    <Page title={words.messages}>
      <SearchForm
        key={JSON.stringify(asked)}
        asked={asked}
        onAsk={(form) => {
          if (JSON.stringify(form) === JSON.stringify(inOrder(asked))) found.again();
          else void navigate({ to: '/messages', search: form });
        }}
      />
      {complete && (
        <Card title={words.found}>
          <Trouble error={found.error} />
          <Missing sets={found.missing} />
          <Scan found={found} />
          <MessageTable
            rows={found.items}
            label={words.found}
            empty={isWhole(found) ? words.emptyFound : words.emptySoFar}
          />
          {(found.next !== undefined || found.stopped) && !found.running && (
            <Button size="xs" variant="default" mt="sm" onClick={found.goOn}>
              {words.goOn}
            </Button>
          )}
        </Card>
      )}
    </Page>
  );
}

/** All that was asked for was looked at. */
function isWhole({ running, stopped, next, error }: ReturnType<typeof useSearch>): boolean {
  return !running && !stopped && next === undefined && error === undefined;
}

/** What is given, in one order. */
function inOrder(form: Form): Form {
  return Object.fromEntries(fields.flatMap((name) => (form[name] ? [[name, form[name]] as const] : [])));
}

function Scan({ found }: { readonly found: ReturnType<typeof useSearch> }) {
  const words = useWords();
  const { looked, left, running, items } = found;
  const part = looked + left === 0 ? 100 : (looked / (looked + left)) * 100;
  return (
    <Group gap="sm" mb="sm">
      <Progress
        value={part}
        w={160}
        animated={running}
        aria-label={words.scanned(count(looked), count(looked + left))}
      />
      <Text size="sm" role="status">
        {words.foundCount(count(items.length))} {words.scanned(count(looked), count(looked + left))}
      </Text>
      {running && (
        <Button size="compact-xs" variant="default" onClick={found.stop}>
          {words.stop}
        </Button>
      )}
    </Group>
  );
}

function SearchForm({ asked, onAsk }: { readonly asked: Form; readonly onAsk: (form: Form) => void }) {
  const words = useWords();
  const [form, setForm] = useState<Form>(asked);
  const topics = useApi(
    'listTopics',
    { query: { limit: 20, ...(form.topic ? { contains: form.topic } : {}) } },
    { everyMs: 0, enabled: Boolean(form.topic) },
  );
  const field = (name: keyof Form) => ({
    value: form[name] ?? '',
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget;
      setForm((known) => ({ ...known, [name]: value }));
    },
  });
  const submit = (): void => onAsk(inOrder(form));
  return (
    <Card>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <SimpleGrid cols={{ base: 1, sm: 2, md: 4 }} spacing="sm">
          <Autocomplete
            label={words.topic}
            value={form.topic ?? ''}
            data={[...new Set((topics.data?.items ?? []).map(({ name }) => name))]}
            onChange={(value) => setForm((known) => ({ ...known, topic: value }))}
          />
          <TextInput label={words.messageId} {...field('id')} />
          <TextInput label={words.key} {...field('key')} />
          <TextInput label={words.tag} {...field('tag')} />
          <TextInput label={words.messageGroup} {...field('messageGroup')} />
          <TextInput label={words.property} {...field('property')} />
          <TextInput label={words.propertyValue} {...field('value')} />
          <TextInput label={words.bodyText} {...field('text')} />
          <TextInput label={words.storedFrom} type="datetime-local" step={1} {...field('from')} />
          <TextInput label={words.storedTo} type="datetime-local" step={1} {...field('to')} />
        </SimpleGrid>
        <Group mt="sm">
          <Button type="submit" disabled={!form.topic && !form.id}>
            {words.search}
          </Button>
          <Text size="sm" c="var(--comet-quiet)">
            {words.searchNeeds}
          </Text>
        </Group>
      </form>
    </Card>
  );
}

function queryOf({ from, to, ...rest }: Form) {
  return {
    ...rest,
    limit: 100,
    ...(from !== undefined && { fromMs: new Date(from).getTime() }),
    ...(to !== undefined && { toMs: new Date(to).getTime() }),
  };
}
