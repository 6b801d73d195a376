export * from './ports.js';
export { checksMax, firstCheckMs, pauseAfter, TransactionsView, type EndOutcome } from './transactions-view.js';
export { decodeAudit, decodeChecked, decodeParked } from './transaction-records.js';
