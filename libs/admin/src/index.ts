export * from './admin-server.js';
export type { AdminContext } from './api/context.js';
export type { Problem } from './api/problems.js';
export type { Page } from './api/paging.js';
export type { BrokerView, ClusterReport } from './reports/cluster-report.js';
export type { GroupItem, GroupReport, GroupView } from './reports/group-report.js';
export type { TopicReport, TopicView } from './reports/topic-report.js';
export type { DelayedView, TransactionAuditView, TransactionView, WaitingPage } from './reports/waiting-report.js';
export * from './settings.js';
