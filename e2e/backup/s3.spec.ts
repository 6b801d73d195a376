// Goal: objects in a bucket are as the port of object stores says. Method: its contract, over a server by others.
import { S3Store } from '@cometmq/backup';
import { MemoryObjectStore, objectStoreContract } from '@cometmq/backup/testing';
import { systemClock as clock } from '@cometmq/shared';

import { bucket, S3Server } from '../support/s3-server.js';

objectStoreContract('S3', async () => {
  const server = await S3Server.start();
  if (!server) return { store: new MemoryObjectStore(clock), close: () => Promise.resolve() };
  const { endpoint, accessKeyId, secretKey: secretAccessKey } = server;
  const prefix = `contract-${Date.now()}/`;
  const addressing = 'path' as const;
  const options = { endpoint, region: 'us-east-1', bucket, addressing, prefix, accessKeyId, secretAccessKey, clock };
  return { store: new S3Store(options), close: () => server.stop() };
});
