import type { Words } from './text/en.js';

/** The pages of the menu and of the palette, in their order. */
type PlainWord = { [Name in keyof Words]: Words[Name] extends string ? Name : never }[keyof Words];

export const pages = [
  { to: '/', word: 'overview' },
  { to: '/topics', word: 'topics' },
  { to: '/groups', word: 'groups' },
  { to: '/messages', word: 'messages' },
  { to: '/dead-letters', word: 'deadLetters' },
  { to: '/delayed', word: 'delayed' },
  { to: '/transactions', word: 'transactions' },
  { to: '/clients', word: 'clients' },
  { to: '/alerts', word: 'alerts' },
  { to: '/brokers', word: 'brokers' },
  { to: '/access', word: 'access' },
] as const satisfies readonly { readonly to: string; readonly word: PlainWord }[];
