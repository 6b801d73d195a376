import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { throwAssertion, type Component } from '@cometmq/shared';
import { HttpListener, type HttpConnections } from '@cometmq/telemetry';

import type { AdminContext } from './api/context.js';
import { TrustedProxies } from './trusted-proxies.js';

export interface AdminServerOptions extends AdminContext {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly connections?: HttpConnections;
  readonly hostNames: readonly string[];
  /** Who may say by `x-forwarded-for` whose request it is; left out: nobody. */
  readonly trustedProxies?: readonly string[] | undefined;
  readonly version: string;
  /** Where the console's built files are; left out: there is no console. */
  readonly consoleFolder?: string | undefined;
}

/** Longer than what stands in front keeps a connection, so that the other side closes first. */
const keepAliveMs = 75_000;

/**
 * The administrators' way in: the REST API on a port of its own. The API and the web framework below it are built at the
 * first request: they would cost a process that is never asked 0.25 s of CPU and 27 MiB at its start.
 */
export class AdminServer implements Component {
  readonly name = 'admin';
  private readonly listener: HttpListener;
  private app: Promise<FastifyInstance> | undefined;
  private readonly stopping = new AbortController();
  private readonly proxies: TrustedProxies;

  constructor(private readonly options: AdminServerOptions) {
    const { host, port, connections, clock, trustedProxies = [] } = options;
    this.proxies = new TrustedProxies(trustedProxies);
    this.listener = new HttpListener({
      ...{ what: 'the REST API', host, port, connections, clock, times: { keepAliveMs } },
      answer: (request, response) => void this.answer(request, response),
    });
  }

  /** The port listened on; the one asked for until `start`. */
  get port(): number {
    return this.listener.port;
  }

  /** Undefined when requests are answered, else why not, for the process's readiness. */
  unready(): string | undefined {
    return this.listener.listening ? undefined : 'the REST API does not listen yet';
  }

  start(): Promise<void> {
    return this.listener.start();
  }

  /** Requests under way are answered; `requestMsMax` of the options bounds them. Answers that go on are ended. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.listener.close();
    await (await this.app?.catch(() => undefined))?.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const app = await this.built();
      this.proxies.clean(request);
      app.routing(request, response);
    } catch (caught) {
      throwAssertion(caught);
      this.options.log.error({ err: caught }, 'a request to the REST API failed before it was handled');
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
  }

  /** What failed once, as a file that could not be read then, is not failed for good. */
  private built(): Promise<FastifyInstance> {
    this.app ??= this.build().catch((caught: unknown) => {
      this.app = undefined;
      throw caught;
    });
    return this.app;
  }

  private async build(): Promise<FastifyInstance> {
    const { buildAdminApi } = await import('./api/admin-api.js');
    const { ConsoleFiles } = await import('./console/console-files.js');
    const { host, hostNames, version, consoleFolder } = this.options;
    const console = consoleFolder === undefined ? undefined : new ConsoleFiles(consoleFolder);
    const { signal: stopping } = this.stopping;
    const { proxies } = this;
    return buildAdminApi({ context: this.options, host, hostNames, proxies, version, console, stopping });
  }
}
