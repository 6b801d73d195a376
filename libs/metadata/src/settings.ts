import { list, text } from '@cometmq/shared';

/** Where the metadata is, for whoever keeps it in etcd. */
export const etcdSettings = {
  etcdEndpoints: list({ default: ['http://127.0.0.1:2379'], why: 'The members of etcd; any of them will do.' }),
  etcdRoot: text({ default: '/cometmq/main/', why: 'What all keys begin with; several clusters may share one etcd.' }),
};
