import { ScrollArea, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import { useApi } from '../api/use-api.js';
import { pages } from '../pages.js';
import { useWords } from '../text/text.js';
import { Dialog } from './dialog.js';

interface Hit {
  readonly key: string;
  readonly what: string;
  readonly name: string;
  go(): void;
}

const shownMax = 8;
/** Message ids are long and hexadecimal. */
const looksLikeId = (text: string): boolean => /^[0-9A-Fa-f]{24,64}$/.test(text);

/** Ctrl-K: pages, topics and groups by a part of their name. Arrow keys choose, Enter goes there. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const words = useWords();
  const navigate = useNavigate();
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState(0);
  const contains = text.trim();
  const query = { limit: shownMax, contains };
  const topics = useApi('listTopics', { query }, { everyMs: 0, enabled: contains !== '' });
  const groups = useApi('listGroups', { query }, { everyMs: 0, enabled: contains !== '' });
  // What was found for fewer letters is shown as long as it fits.
  const fits = ({ name }: { readonly name: string }): boolean => name.toLowerCase().includes(contains.toLowerCase());
  const named = contains === '' ? [] : (topics.data?.items ?? []).filter(fits);
  const grouped = contains === '' ? [] : (groups.data?.items ?? []).filter(fits);
  const hits: Hit[] = [
    ...pages
      .filter(({ word }) => words[word].toLowerCase().includes(contains.toLowerCase()))
      .map(({ to, word }) => ({ key: to, what: '', name: words[word], go: () => void navigate({ to }) })),
    ...named.map(({ name }) => ({
      ...{ key: `topic ${name}`, what: words.topic, name },
      go: () => void navigate({ to: '/topics/$name', params: { name } }),
    })),
    ...(looksLikeId(contains)
      ? [
          {
            ...{ key: 'message', what: words.message, name: contains },
            go: () => void navigate({ to: '/messages', search: { id: contains } }),
          },
        ]
      : []),
    ...grouped.map(({ name }) => ({
      ...{ key: `group ${name}`, what: words.group, name },
      go: () => void navigate({ to: '/groups/$name', params: { name } }),
    })),
  ];
  const at = Math.min(chosen, hits.length - 1);
  useEffect(() => {
    document.getElementById(`palette-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const take = (hit: Hit | undefined): void => {
    if (!hit) return;
    hit.go();
    onClose();
  };
  return (
    <Dialog title={words.search} onClose={onClose} quiet>
      <TextInput
        aria-label={words.search}
        placeholder={words.searchHint}
        value={text}
        data-autofocus
        role="combobox"
        aria-expanded
        aria-controls="palette"
        aria-activedescendant={hits.length > 0 ? `palette-${at}` : undefined}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setChosen(Math.min(hits.length - 1, at + 1));
          else if (event.key === 'ArrowUp') setChosen(Math.max(0, at - 1));
          else if (event.key === 'Enter') take(hits[at]);
          else return;
          event.preventDefault();
        }}
      />
      <ScrollArea.Autosize mah={360} mt="xs">
        <div id="palette" role="listbox" aria-label={words.search}>
          {hits.map((hit, i) => (
            <UnstyledButton
              key={hit.key}
              id={`palette-${i}`}
              role="option"
              aria-selected={i === at}
              tabIndex={-1}
              className="nav"
              w="100%"
              p="xs"
              style={
                i === at ? { background: 'light-dark(var(--mantine-color-indigo-0), var(--mantine-color-dark-5))' } : {}
              }
              onClick={() => take(hit)}
            >
              <Text span size="xs" c="var(--comet-quiet)" mr="xs">
                {hit.what}
              </Text>
              {hit.name}
            </UnstyledButton>
          ))}
        </div>
        {hits.length === 0 && <Text p="xs">{words.nothingFound}</Text>}
      </ScrollArea.Autosize>
    </Dialog>
  );
}
