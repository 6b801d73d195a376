/** What users are made of, by the REST API or by a resource of Kubernetes. */
import { auditorTemplate, consumerTemplate, producerTemplate, resourceIn } from '@cometmq/auth';
import type { Action, PolicyEntry } from '@cometmq/model';

import type { PolicyView } from '../reports/user-report.js';

export interface PolicyBody {
  readonly resource: string;
  readonly actions: readonly Action[];
  readonly decision?: PolicyView['decision'];
  readonly sourceIps?: readonly string[];
  readonly policy?: PolicyView['policy'];
}
export interface Templates {
  readonly produce?: readonly string[];
  readonly consume?: readonly { readonly topics: string; readonly group: string }[];
  readonly audit?: readonly string[];
}
/** @throws MqError BAD_REQUEST */
export function entriesOf({
  policies = [],
  produce = [],
  consume = [],
  audit = [],
}: Templates & { readonly policies?: readonly PolicyBody[] | undefined }): PolicyEntry[] {
  const own = policies.map(({ resource, actions, decision = 'allow', sourceIps = [], policy = 'custom' }) => ({
    resource: resourceIn(resource),
    actions,
    decision,
    sourceIps,
    policy,
  }));
  return [
    ...own,
    ...produce.flatMap((topics) => producerTemplate(topics)),
    ...consume.flatMap(({ topics, group }) => consumerTemplate(topics, group)),
    ...audit.flatMap((groups) => auditorTemplate(groups)),
  ];
}
