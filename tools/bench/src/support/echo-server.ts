/**
 * The reference: an empty service on grpc-js that answers each request with its own bytes. Started as a process of its
 * own with `main.cjs --role=echo`; says its port as a line, and ends when its stdin does.
 */
import { type ChildProcess, spawn } from 'node:child_process';

import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';

export async function serveEcho(): Promise<void> {
  const asIs = (bytes: Buffer): Buffer => bytes;
  const server = new Server();
  const echo: handleUnaryCall<Buffer, Buffer> = (call, done) => done(null, call.request);
  server.addService(
    {
      sendMessage: {
        path: '/apache.rocketmq.v2.MessagingService/SendMessage',
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    { sendMessage: echo },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  process.stdout.write(`${port}\n`);
  process.stdin.resume();
  process.stdin.once('end', () => server.forceShutdown());
}

export interface Echo {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

export async function startEcho(program: string): Promise<Echo> {
  const child: ChildProcess = spawn(process.execPath, [program, '--role=echo'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('the echo server ended at its start')));
    child.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
  return {
    pid: child.pid ?? 0,
    port,
    stop: () => {
      child.stdin?.end();
      return ended;
    },
  };
}
