/** Small parts that many pages show. Text of strangers is always a text node: nothing is ever rendered as HTML. */
import { Alert, Badge, Group, Paper, Stack, Text, Title, Tooltip } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { useEffect, type ReactNode } from 'react';

import type { ApiError } from '../api/client.js';
import { useSession } from '../api/use-session.js';
import { useLanguage, useWords } from '../text/text.js';
import { count, duration, moment } from './format.js';
import { Loading } from './loading.js';

export function Page({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · CometMQ`;
  }, [title]);
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h3" style={{ overflowWrap: 'anywhere' }}>
          {title}
        </Title>
        <Group gap="xs">{actions}</Group>
      </Group>
      {children}
    </Stack>
  );
}

export function Card({ title, children }: { title?: string; children: ReactNode }) {
  return (
    <Paper withBorder p="md" radius="md">
      {title !== undefined && (
        <Title order={2} size="h5" mb="sm">
          {title}
        </Title>
      )}
      {children}
    </Paper>
  );
}

export function Figure({ label, value, hint }: { label: string; value: ReactNode; hint?: string }) {
  const figure = (
    <Paper withBorder p="sm" radius="md" miw={120}>
      <Text size="xs" c="var(--comet-quiet)">
        {label}
      </Text>
      <Text size="xl" fw={600}>
        {value}
      </Text>
    </Paper>
  );
  return hint === undefined ? figure : <Tooltip label={hint}>{figure}</Tooltip>;
}

export const Count = ({ value }: { value: number }) => <span title={String(value)}>{count(value)}</span>;

/** How long ago, with the moment itself for who points at it. */
export function Ago({ ms }: { ms: number }) {
  const distance = Date.now() - ms;
  const text = distance >= 0 ? `−${duration(distance)}` : `+${duration(-distance)}`;
  return (
    <time dateTime={new Date(ms).toISOString()} title={text} style={{ whiteSpace: 'nowrap' }}>
      {moment(ms)}
    </time>
  );
}

export function Mono({ children }: { children: ReactNode }) {
  return (
    <Text span ff="monospace" size="sm" className="mono">
      {children}
    </Text>
  );
}

/** Nobody is signed in any more; a wrong secret is told of in other words. */
function useHasEnded(error: ApiError | null | undefined): boolean {
  const { data } = useSession();
  return error?.status === 401 && data?.user === undefined;
}

/** What went wrong, in the language chosen. */
export function Trouble({ error }: { error: ApiError | null | undefined }) {
  const { words, problemText } = useLanguage();
  const hasEnded = useHasEnded(error);
  if (!error) return null;
  return (
    <Alert color="red" variant="light" role="alert" className="trouble">
      {hasEnded ? words.signedOut : words.failed(problemText(error))}
    </Alert>
  );
}

/** What is shown is an earlier answer, and why. */
export function Stale({ error }: { error: ApiError | null }) {
  const { words, problemText } = useLanguage();
  const hasEnded = useHasEnded(error);
  if (!error) return null;
  return (
    <Alert color="orange" variant="light" role="status" mb="sm">
      {hasEnded ? words.signedOut : words.stale(problemText(error))}
    </Alert>
  );
}

/** The answer of a question: its last one while a newer one fails, and the reason. */
export function Answered<T>({ of, children }: { of: UseQueryResult<T, ApiError>; children: (data: T) => ReactNode }) {
  if (of.data === undefined) {
    return of.error ? <Trouble error={of.error} /> : <Loading />;
  }
  return (
    <>
      <Stale error={of.error} />
      {children(of.data)}
    </>
  );
}

export function Missing({ sets }: { sets: readonly { readonly brokerSet: string; readonly detail: string }[] }) {
  const words = useWords();
  if (sets.length === 0) return null;
  return (
    <Alert color="orange" variant="light" role="status">
      {words.missing(sets.map(({ brokerSet, detail }) => `${brokerSet} (${detail})`).join('; '))}
    </Alert>
  );
}

export function Mark({ color, children }: { color: string; children: ReactNode }) {
  return (
    <Badge color={color} variant="light" tt="none" autoContrast>
      {children}
    </Badge>
  );
}
