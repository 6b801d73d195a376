import type { WireCheck } from '../talk.js';
import { decisions } from './decisions.js';
import { leases } from './leases.js';
import { lite } from './lite.js';
import { pulls } from './pulls.js';
import { receives } from './receives.js';
import { routes } from './routes.js';
import { sends } from './sends.js';
import { streams } from './streams.js';

export const wireChecks: readonly WireCheck[] = [
  ...streams,
  ...routes,
  ...sends,
  ...receives,
  ...leases,
  ...decisions,
  ...pulls,
  ...lite,
];
