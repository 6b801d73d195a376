import { list, text } from '@cometmq/shared';

import type { EtcdAddress } from './etcd/etcd-client.js';

/** Where the metadata is, for whoever keeps it in etcd. */
export const etcdSettings = {
  etcdEndpoints: list({ default: ['http://127.0.0.1:2379'], why: 'The members of etcd; any of them will do.' }),
  etcdRoot: text({ default: '/cometmq/main/', why: 'What all keys begin with; several clusters may share one etcd.' }),
  etcdCaFile: text({
    default: '',
    why: 'PEM file of the authorities that vouch for etcd, whose endpoints are https then; empty: those of Node.js.',
  }),
  etcdCertFile: text({ default: '', why: 'PEM file of the certificate shown to etcd, where it asks for one.' }),
  etcdKeyFile: text({ default: '', why: 'PEM file of that certificate’s key.' }),
  etcdUser: text({
    default: '',
    why: 'User of etcd, who needs to read and write what is below etcdRoot. Empty: none.',
  }),
  etcdPassword: text({ default: '', secret: true, why: 'Its password.' }),
  etcdRootPasswordFile: text({
    default: '',
    why: 'A file with the password of etcd’s user root, for an etcd that is this cluster’s alone: it is made to have users, root and the one that the common name of etcdCertFile says, which may touch what is below etcdRoot only. Empty: etcd’s users are none of ours.',
  }),
};

interface EtcdConfig {
  readonly etcdEndpoints: readonly string[];
  readonly etcdCaFile: string;
  readonly etcdCertFile: string;
  readonly etcdKeyFile: string;
  readonly etcdUser: string;
  readonly etcdPassword: string;
  readonly etcdRootPasswordFile: string;
}

/** For `declare`: what goes together. */
export function etcdRule(config: EtcdConfig): true | string {
  const { etcdEndpoints, etcdCaFile, etcdCertFile, etcdKeyFile, etcdUser, etcdPassword } = config;
  const secure = etcdEndpoints.filter((endpoint) => endpoint.startsWith('https://')).length;
  if (secure > 0 && secure < etcdEndpoints.length) return 'etcdEndpoints: must be all http or all https';
  if (secure === 0 && (etcdCaFile !== '' || etcdCertFile !== '' || etcdKeyFile !== '')) {
    return 'etcdCaFile, etcdCertFile, etcdKeyFile: are for endpoints that begin with https://';
  }
  if ((etcdCertFile === '') !== (etcdKeyFile === '')) return 'etcdCertFile, etcdKeyFile: go together';
  if ((etcdUser === '') !== (etcdPassword === '')) return 'etcdUser, etcdPassword: go together';
  if (config.etcdRootPasswordFile !== '' && (etcdCertFile === '' || etcdUser !== '')) {
    return 'etcdRootPasswordFile: needs etcdCertFile, whose common name is our user, and no etcdUser';
  }
  return true;
}

/** Where etcd is and who we are to it. */
export function etcdAddressOf(config: EtcdConfig, readFile: (path: string) => string): EtcdAddress {
  const { etcdEndpoints, etcdCaFile, etcdCertFile, etcdKeyFile, etcdUser, etcdPassword } = config;
  const read = (file: string): Buffer | undefined => (file === '' ? undefined : Buffer.from(readFile(file)));
  const reload = () => ({ ca: read(etcdCaFile), cert: read(etcdCertFile), key: read(etcdKeyFile) });
  return {
    endpoints: etcdEndpoints,
    ...((etcdCaFile !== '' || etcdCertFile !== '') && { tls: reload(), reload }),
    ...(etcdUser !== '' && { user: { name: etcdUser, password: etcdPassword } }),
  };
}
