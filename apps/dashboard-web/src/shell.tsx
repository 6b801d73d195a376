import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Kbd,
  NativeSelect,
  Text,
  UnstyledButton,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { Link, Outlet } from '@tanstack/react-router';
import { useEffect } from 'react';

import { Palette } from './parts/palette.js';
import { Trouble } from './parts/show.js';
import { useChange } from './api/use-api.js';
import { useSession } from './api/use-session.js';
import { pages } from './pages.js';
import { languages, useLanguage, type Language } from './text/text.js';

/** The frame around every page: where one is, where one can go, and the palette over it all. */
export function Shell() {
  const { language, words, speak } = useLanguage();
  const [menu, { toggle, close }] = useDisclosure();
  const [palette, find] = useDisclosure();
  const { toggleColorScheme } = useMantineColorScheme();
  useHotkeys([['mod+K', find.open]], []);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 220, breakpoint: 'sm', collapsed: { mobile: !menu } }}
      padding="md"
    >
      <AppShell.Header>
        <a className="skip" href="#content">
          {words.skip}
        </a>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={menu} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={words.menu} />
            <img src="/comet.svg" width={28} height={28} alt="" />
            <Text fw={700}>CometMQ</Text>
          </Group>
          <UnstyledButton onClick={find.open} className="find" aria-keyshortcuts="Control+K">
            <Text span size="sm" mr="xs">
              {words.search}
            </Text>
            <Kbd visibleFrom="sm">Ctrl K</Kbd>
          </UnstyledButton>
          <Group gap="xs" wrap="nowrap">
            <NativeSelect
              size="xs"
              aria-label={words.language}
              value={language}
              data={Object.entries(languages).map(([value, label]) => ({ value, label }))}
              onChange={(event) => speak(event.currentTarget.value as Language)}
            />
            <ActionIcon variant="default" onClick={toggleColorScheme} aria-label={words.theme}>
              ◐
            </ActionIcon>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={words.menu}>
        {pages.map(({ to, word }) => (
          <Link key={to} to={to} className="nav" activeOptions={{ exact: to === '/' }} onClick={close}>
            {words[word]}
          </Link>
        ))}
        <a className="nav" href="/docs">
          {words.apiDocs}
        </a>
        <SignedIn />
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Outlet />
      </AppShell.Main>
      {palette && <Palette onClose={find.close} />}
    </AppShell>
  );
}

/** Who is signed in, and the way out. Nothing where nobody has to be. */
function SignedIn() {
  const { words } = useLanguage();
  const { data } = useSession();
  const end = useChange('endSession');
  if (data?.login !== true || data.user === undefined || data.user === '') return null;
  return (
    <Group mt="auto" p="xs" gap="xs" justify="space-between">
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
        {words.signedInAs(data.user)}
      </Text>
      <Button
        size="compact-sm"
        variant="default"
        loading={end.isPending}
        // All that this page knows is forgotten with it.
        onClick={() => end.mutate({}, { onSuccess: () => window.location.replace('/') })}
      >
        {words.signOut}
      </Button>
      <Trouble error={end.error} />
    </Group>
  );
}
