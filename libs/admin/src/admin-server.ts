import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { MqError, type Component } from '@cometmq/shared';

import type { AdminContext } from './api/context.js';

export interface AdminServerOptions extends AdminContext {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly hostNames: readonly string[];
  readonly version: string;
  /** Where the console's built files are; left out: there is no console. */
  readonly consoleFolder?: string | undefined;
}

/** How long a request may take to arrive whole. */
const requestMsMax = 30_000;
/** Longer than what stands in front keeps a connection, so that the other side closes first. */
const keepAliveMs = 75_000;
const headerBytesMax = 16 * 1024;

/**
 * The administrators' way in: the REST API on a port of its own. The API and the web framework below it are built at the
 * first request: they would cost a process that is never asked 0.25 s of CPU and 27 MiB at its start.
 */
export class AdminServer implements Component {
  readonly name = 'admin';
  private server: Server | undefined;
  private app: Promise<FastifyInstance> | undefined;
  private readonly stopping = new AbortController();

  constructor(private readonly options: AdminServerOptions) {}

  /** The port listened on; the one asked for until `start`. */
  get port(): number {
    const address = this.server?.address();
    return typeof address === 'object' && address ? address.port : this.options.port;
  }

  /** Undefined when requests are answered, else why not, for the process's readiness. */
  unready(): string | undefined {
    return this.server?.listening ? undefined : 'the REST API does not listen yet';
  }

  async start(): Promise<void> {
    const { host, port } = this.options;
    const limits = { requestTimeout: requestMsMax, keepAliveTimeout: keepAliveMs, maxHeaderSize: headerBytesMax };
    const server = createServer(limits, (request, response) => void this.answer(request, response));
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(new MqError('CONFIG', `the REST API can't listen on ${host}:${port}: ${error.message}`));
      });
      server.listen(port, host, resolve);
    });
  }

  /** Requests under way are answered; `requestMsMax` of the options bounds them. Answers that go on are ended. */
  async stop(): Promise<void> {
    const { server } = this;
    this.stopping.abort();
    if (server?.listening) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await closed;
    }
    await (await this.app?.catch(() => undefined))?.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once('close', () => setImmediate(() => this.closeIfStopping()));
    try {
      this.app ??= this.build();
      const app = await this.app;
      app.routing(request, response);
    } catch (caught) {
      this.options.log.error({ err: caught }, 'a request to the REST API failed before it was handled');
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  }

  /** A connection that was busy when stopping began would else be kept for another request. */
  private closeIfStopping(): void {
    if (this.server?.listening === false) this.server.closeIdleConnections();
  }

  private async build(): Promise<FastifyInstance> {
    const { buildAdminApi } = await import('./api/admin-api.js');
    const { ConsoleFiles } = await import('./console/console-files.js');
    const { host, hostNames, version, consoleFolder } = this.options;
    const console = consoleFolder === undefined ? undefined : new ConsoleFiles(consoleFolder);
    const { signal: stopping } = this.stopping;
    return buildAdminApi({ context: this.options, host, hostNames, version, console, stopping });
  }
}
