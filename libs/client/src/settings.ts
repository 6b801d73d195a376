import { list } from '@cometmq/shared';

/** Where the name service is, for every process that asks it. */
export const namingSettings = {
  namesrvAddresses: list({
    default: ['127.0.0.1:9876'],
    why: 'host:port of each name service instance. They are equal; one is used until it fails, then the next.',
  }),
};
