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
  if (session.data?.login === true && session.data.user === undefined) {
    return <SignIn provider={session.data.oidc?.issuer} />;
  }
  return children;
}

/** Why the identity provider's login has led back here; the code stands in the address. */
function useLoginFailure(): string | undefined {
  const words = useWords();
  const code = new URLSearchParams(window.location.search).get('loginFailed');
  if (code === null) return undefined;
  return code === 'UNAVAILABLE' ? words.providerAway : words.providerRefused;
}

function SignIn({ provider }: { readonly provider: string | undefined }) {
  const words = useWords();
  const failure = useLoginFailure();
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
            {provider !== undefined && (
              <Button component="a" variant="default" href={`/api/v1/session/oidc?${returnTo()}`}>
                {words.signInBy(new URL(provider).host)}
              </Button>
            )}
            {failure !== undefined && <div role="alert">{failure}</div>}
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}

/** The page that was asked for is shown when the browser is back. */
function returnTo(): string {
  const { pathname, search } = window.location;
  const query = new URLSearchParams(search);
  query.delete('loginFailed');
  const page = query.size === 0 ? pathname : `${pathname}?${query.toString()}`;
  return new URLSearchParams({ returnTo: page.slice(0, 512) }).toString();
}
