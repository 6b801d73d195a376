export * from './ports.js';
export { checksMax, firstCheckMs, pauseAfter, TransactionsView, type EndOutcome } from './transactions-view.js';
