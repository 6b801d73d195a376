import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';

import { NotFound } from './pages/not-found.js';
import { Overview } from './pages/overview.js';
import { Shell } from './shell.js';

/**
 * Every view has an address: what a page shows is in its path and its query, so that a link opens the same view. All
 * pages but the first are loaded when they are first gone to.
 */
const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const optional = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
const words =
  <Name extends string>(...names: readonly Name[]) =>
  (search: Record<string, unknown>): { [Key in Name]?: string } => {
    const found: { [Key in Name]?: string } = {};
    for (const name of names) {
      const value = optional(search[name]);
      if (value !== undefined) found[name] = value;
    }
    return found;
  };

const overview = createRoute({ getParentRoute: () => root, path: '/', component: Overview });
const topics = createRoute({
  getParentRoute: () => root,
  path: '/topics',
  validateSearch: words('contains', 'inner'),
  component: lazyRouteComponent(() => import('./pages/topics.js'), 'Topics'),
});
const topic = createRoute({
  getParentRoute: () => root,
  path: '/topics/$name',
  component: lazyRouteComponent(() => import('./pages/topic.js'), 'Topic'),
});
const groups = createRoute({
  getParentRoute: () => root,
  path: '/groups',
  validateSearch: words('contains'),
  component: lazyRouteComponent(() => import('./pages/groups.js'), 'Groups'),
});
const group = createRoute({
  getParentRoute: () => root,
  path: '/groups/$name',
  component: lazyRouteComponent(() => import('./pages/group.js'), 'Group'),
});
const messages = createRoute({
  getParentRoute: () => root,
  path: '/messages',
  validateSearch: words('topic', 'id', 'key', 'tag', 'messageGroup', 'property', 'value', 'text', 'from', 'to'),
  component: lazyRouteComponent(() => import('./pages/messages.js'), 'Messages'),
});
const message = createRoute({
  getParentRoute: () => root,
  path: '/message/$id',
  validateSearch: words('group'),
  component: lazyRouteComponent(() => import('./pages/message.js'), 'Message'),
});
const deadLetters = createRoute({
  getParentRoute: () => root,
  path: '/dead-letters',
  validateSearch: words('group', 'cause', 'age'),
  component: lazyRouteComponent(() => import('./pages/dead-letters.js'), 'DeadLetters'),
});
const clients = createRoute({
  getParentRoute: () => root,
  path: '/clients',
  validateSearch: words('contains', 'mark'),
  component: lazyRouteComponent(() => import('./pages/clients.js'), 'Clients'),
});
const delayed = createRoute({
  getParentRoute: () => root,
  path: '/delayed',
  validateSearch: words('topic'),
  component: lazyRouteComponent(() => import('./pages/delayed.js'), 'DelayedMessages'),
});
const transactions = createRoute({
  getParentRoute: () => root,
  path: '/transactions',
  validateSearch: words('topic'),
  component: lazyRouteComponent(() => import('./pages/transactions.js'), 'Transactions'),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: '/alerts',
  component: lazyRouteComponent(() => import('./pages/alerts.js'), 'Alerts'),
});
const access = createRoute({
  getParentRoute: () => root,
  path: '/access',
  component: lazyRouteComponent(() => import('./pages/access.js'), 'Access'),
});
const brokers = createRoute({
  getParentRoute: () => root,
  path: '/brokers',
  component: lazyRouteComponent(() => import('./pages/brokers.js'), 'Brokers'),
});

const tree = root.addChildren([
  ...[overview, topics, topic, groups, group, messages, message],
  ...[deadLetters, delayed, transactions, clients, alerts, brokers, access],
]);

/** Queries are plain text: numbers and words look in the address bar as they are. */
export const router = createRouter({
  routeTree: tree,
  defaultPreload: 'intent',
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== '');
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return text === '' ? '' : `?${text}`;
  },
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
