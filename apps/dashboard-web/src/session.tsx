import { Button, Center, Paper, PasswordInput, Stack, TextInput, Title } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';

import { keepCsrf, type ApiError } from './api/client.js';
import { useApi, useChange } from './api/use-api.js';
import { Trouble } from './parts/show.js';
import { useWords } from './text/text.js';

/** Shows the console to who is logged in, or to all where nobody has to be. When a session ends, its reader signs in again. */
export function Session({ children }: { readonly children: ReactNode }) {
  const session = useApi('describeSession', {}, { everyMs: 60_000 });
  const csrf = session.data?.csrfToken;
  useEffect(() => keepCsrf(csrf), [csrf]);
  const client = useQueryClient();
  const { refetch } = session;
  useEffect(
    () =>
      // Any answer may be the first to say that the session is over.
      client.getQueryCache().subscribe(({ query }) => {
        const error = query.state.error as ApiError | null;
        if (error?.status === 401 && (query.queryKey as readonly unknown[])[0] !== 'describeSession') void refetch();
      }),
    [client, refetch],
  );
  if (session.data?.login === true && session.data.user === undefined) return <SignIn />;
  return children;
}

function SignIn() {
  const words = useWords();
  const begin = useChange('beginSession');
  const [user, setUser] = useState('');
  const [secret, setSecret] = useState('');
  return (
    <Center mih="100vh" component="main">
      <Paper withBorder p="xl" radius="md" w={360}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            begin.mutate({ body: { user, secret } }, { onSuccess: ({ csrfToken }) => keepCsrf(csrfToken) });
          }}
        >
          <Stack gap="sm">
            <Title order={1} size="h3">
              {words.signIn}
            </Title>
            <TextInput
              label={words.user}
              value={user}
              autoComplete="username"
              required
              onChange={(event) => setUser(event.currentTarget.value)}
            />
            <PasswordInput
              label={words.secret}
              value={secret}
              autoComplete="current-password"
              required
              onChange={(event) => setSecret(event.currentTarget.value)}
            />
            <Trouble error={begin.error?.status === 401 ? null : begin.error} />
            {begin.error?.status === 401 && <div role="alert">{words.signInFailed}</div>}
            <Button type="submit" loading={begin.isPending}>
              {words.signIn}
            </Button>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
