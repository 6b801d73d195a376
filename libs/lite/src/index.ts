export * from './lite-subscriptions.js';
export * from './lite-topics-view.js';
export * from './ready-queues.js';
