import { Alert, Button, Center, Paper, PasswordInput, Stack, TextInput, Title } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';

import { keepCsrf, type ApiError } from './api/client.js';
import { useChange } from './api/use-api.js';
import { useSession } from './api/use-session.js';
import { CodeInput, SetUpSecondFactor } from './pages/second-factor.js';
import { Loading } from './parts/loading.js';
import { Trouble } from './parts/show.js';
import { useLanguage, useWords } from './text/text.js';

/** Shows the console to who is logged in, or to all where nobody has to be. When a session ends, its reader signs in again. */
export function Session({ children }: { readonly children: ReactNode }) {
  const session = useSession();
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
  const isIn = session.data?.user !== undefined;
  const [wasIn, setWasIn] = useState(false);
  useEffect(() => (isIn ? setWasIn(true) : undefined), [isIn]);
  if (session.isPending) return <Loading />; // Or pages would ask for what they may not have yet.
  if (session.data?.login === true && session.data.user === undefined) {
    return <SignIn provider={session.data.oidc?.issuer} hasEnded={wasIn} />;
  }
  return children;
}

const failureIn = (search: string): string | null => new URLSearchParams(search).get('loginFailed');

/** Why the identity provider's login has led back here; the code stands in the address, and is said once. */
function useLoginFailure(): string | undefined {
  const words = useWords();
  const [code] = useState(() => failureIn(window.location.search));
  useEffect(() => {
    if (failureIn(window.location.search) !== null) window.history.replaceState(null, '', window.location.pathname);
  }, []);
  if (code === null) return undefined;
  if (code === 'UNAVAILABLE') return words.providerAway;
  return code === 'FORBIDDEN' ? words.noRoleHere : words.providerRefused;
}

/** What is wrong is the second factor, or that it is missing. */
const aboutCodes: readonly (string | undefined)[] = ['codeNeeded', 'codeWrong'];

function SignIn({ provider, hasEnded }: { readonly provider: string | undefined; readonly hasEnded: boolean }) {
  const { words, problemText } = useLanguage();
  const failure = useLoginFailure();
  const client = useQueryClient();
  const begin = useChange('beginSession');
  const [user, setUser] = useState('');
  const [secret, setSecret] = useState('');
  const [code, setCode] = useState<string>();
  const sentence = begin.error?.said?.sentence;
  const started = (csrfToken: string | undefined): void => {
    keepCsrf(csrfToken);
    // What somebody else was shown here is not for this one.
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'describeSession' });
  };
  if (sentence === 'secondFactorNeeded') {
    return (
      <Center mih="100vh" component="main">
        <Paper withBorder p="xl" radius="md" w={360}>
          <Failure>{words.secondFactorNeeded}</Failure>
          <SetUpSecondFactor
            given={{ user, secret }}
            onDone={() => {
              setCode('');
              begin.reset();
            }}
          />
        </Paper>
      </Center>
    );
  }
  return (
    <Center mih="100vh" component="main">
      <Paper withBorder p="xl" radius="md" w={360}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const body = { user, secret, ...(code !== undefined && { code }) };
            begin.mutate(
              { body },
              {
                onSuccess: ({ csrfToken }) => started(csrfToken),
                onError: (error) => (error.said?.sentence === 'codeNeeded' ? setCode('') : undefined),
              },
            );
          }}
        >
          <Stack gap="sm">
            <Title order={1} size="h3">
              {words.signIn}
            </Title>
            {failure !== undefined && begin.isIdle && <Failure>{failure}</Failure>}
            {hasEnded && begin.isIdle && <Failure>{words.signedOut}</Failure>}
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
            {code !== undefined && <CodeInput value={code} onChange={setCode} />}
            <Trouble error={begin.error?.status === 401 ? null : begin.error} />
            {begin.error?.status === 401 && !aboutCodes.includes(sentence) && <Failure>{words.signInFailed}</Failure>}
            {begin.error && sentence === 'codeWrong' && <Failure>{problemText(begin.error)}</Failure>}
            <Button type="submit" loading={begin.isPending}>
              {words.signIn}
            </Button>
            {provider !== undefined && (
              <Button component="a" variant="default" href={`/api/v1/session/oidc?${returnTo()}`}>
                {words.signInBy(new URL(provider).host)}
              </Button>
            )}
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}

function Failure({ children }: { readonly children: string }) {
  return (
    <Alert color="red" variant="light" role="alert">
      {children}
    </Alert>
  );
}

/** The page that was asked for is shown when the browser is back. */
function returnTo(): string {
  const { pathname, search } = window.location;
  return new URLSearchParams({ returnTo: `${pathname}${search}`.slice(0, 512) }).toString();
}
