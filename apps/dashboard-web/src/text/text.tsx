import { createContext, use, useCallback, useMemo, useState, type ReactNode } from 'react';

import type { ApiError } from '../api/client.js';
import { moment } from '../parts/format.js';
import { en, type Words } from './en.js';
import { problemText } from './problems.js';
import { chineseOf } from './said.js';
import { zh } from './zh.js';

export const languages = { en: 'English', zh: '中文' } as const;
export type Language = keyof typeof languages;
const dictionaries: Readonly<Record<Language, Words>> = { en, zh };

interface Spoken {
  readonly language: Language;
  readonly words: Words;
  readonly problemText: (error: ApiError) => string;
  /** A sentence of the API that is no problem of a call. */
  readonly said: (text: string) => string;
  readonly speak: (language: Language) => void;
}
const Context = createContext<Spoken>({
  ...{ language: 'en', words: en, problemText: ({ message }) => message, said: (text) => text },
  speak: () => undefined,
});
const kept = 'cometmq.language';

/** The API tells moments in UTC, the console all of them as its reader's clock shows them. */
function inLocalTime(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (utc) => moment(Date.parse(utc)));
}

function first(): Language {
  const chosen = localStorage.getItem(kept);
  const language = chosen === 'en' || chosen === 'zh' ? chosen : navigator.language.startsWith('zh') ? 'zh' : 'en';
  document.documentElement.lang = language; // Before anything is shown: durations go by it.
  return language;
}

export function TextProvider({ children }: { readonly children: ReactNode }) {
  const [language, setLanguage] = useState(first);
  const speak = useCallback((chosen: Language) => {
    localStorage.setItem(kept, chosen);
    document.documentElement.lang = chosen;
    setLanguage(chosen);
  }, []);
  const spoken = useMemo(
    () => ({
      ...{ language, words: dictionaries[language], speak },
      problemText: (error: ApiError) => problemText(language, error),
      said: (text: string) => inLocalTime(language === 'zh' ? chineseOf(text) : text),
    }),
    [language, speak],
  );
  return <Context value={spoken}>{children}</Context>;
}

/** All words of the console, in the language chosen. */
export function useWords(): Words {
  return use(Context).words;
}
export function useLanguage(): Spoken {
  return use(Context);
}
