import { AssertionError } from 'node:assert';
import { MqError, type Clock } from '@cometmq/shared';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { passAssertion, problemOf } from './problems.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when this process stops: what goes on has to end. */
    stopping: AbortSignal;
  }
}

export interface StreamForm {
  /** Server-sent events, or a JSON object a line. */
  readonly kind: 'events' | 'lines';
  /** Browsers save it under this name. */
  readonly fileName?: string;
}

const mediaTypes = { events: 'text/event-stream', lines: 'application/x-ndjson' } as const;
/** Who takes nothing for so long is gone, whatever the connection says. */
const unreadMsMax = 60_000;
/** For the last words of a stream that is ended from here. */
const lastWordsMsMax = 500;

/**
 * One answer that goes on: `give` sends until it is through, or `out.isOver`. It ends early when the reader has left or takes
 * nothing, when who asked may no longer have it, and when the process stops; what `give` throws is its last line. However it
 * ended, the audit log is told, with how many messages were given.
 */
export async function goOn(
  request: FastifyRequest,
  reply: FastifyReply,
  clock: Clock,
  form: StreamForm,
  give: (out: EventStream) => Promise<void>,
): Promise<void> {
  const out = new EventStream(reply, clock, form);
  const stopped = (): void => out.cut(new MqError('UNAVAILABLE', 'this process stops: ask again'));
  const { stopping } = request.server;
  stopping.addEventListener('abort', stopped);
  const unwatch = request.standing.watch((error) => out.cut(error));
  if (stopping.aborted) stopped();
  try {
    await give(out);
  } catch (caught) {
    // The framework does not look at what is thrown once an answer has begun.
    if (caught instanceof AssertionError) passAssertion(caught);
    else out.cut(MqError.from(caught));
  } finally {
    stopping.removeEventListener('abort', stopped);
    unwatch();
    out.end();
    void request.recordAnswer?.({ given: out.given, ended: out.ended });
  }
}

export class EventStream {
  /** Messages that were sent whole into the stream. */
  given = 0;
  /** Why it ended before its end. */
  ended: MqError | undefined;
  private over = false;

  constructor(
    private readonly reply: FastifyReply,
    private readonly clock: Clock,
    private readonly form: StreamForm,
  ) {
    const { kind, fileName } = form;
    reply.hijack();
    reply.raw.once('close', () => this.isLeft());
    reply.raw.writeHead(200, {
      'content-type': mediaTypes[kind],
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(fileName !== undefined && {
        'content-disposition': `attachment; filename="${fileName.replaceAll(/[^\w.-]/g, '_')}"`,
      }),
      'x-accel-buffering': 'no', // A proxy in between shall pass each event on at once.
    });
    if (reply.raw.destroyed) this.isLeft();
  }

  /** Nothing more is taken. */
  get isOver(): boolean {
    return this.over;
  }

  /** A message. Resolves when there is room for more. */
  async message(event: string, data: unknown): Promise<void> {
    if (this.over) return;
    this.given += 1;
    return this.send(event, data);
  }

  /** Resolves when there is room for more. @param event without a name where it is lines */
  async send(event: string, data: unknown): Promise<void> {
    if (this.over) return;
    const { raw } = this.reply;
    if (raw.write(this.textOf(event, data))) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        raw.off('drain', done).off('close', done);
        resolve();
      };
      const timer = this.clock.after(unreadMsMax, () => {
        this.cut(new MqError('TIMEOUT', `the reader took nothing for ${unreadMsMax} ms`));
      });
      raw.on('drain', done).on('close', done);
    });
  }

  /** Ends it with the reason; nothing more is sent. */
  cut(error: MqError): void {
    if (this.over) return;
    this.over = true;
    this.ended = error;
    const { raw } = this.reply;
    // What waits unread shall not be read any more either.
    if (raw.writableNeedDrain) {
      raw.destroy();
      return;
    }
    const problem = this.form.kind === 'events' ? problemOf(error) : { problem: error.reason };
    raw.end(this.textOf('problem', problem));
    const timer = this.clock.after(lastWordsMsMax, () => raw.destroy());
    raw.once('close', () => timer.cancel());
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.reply.raw.end();
  }

  private textOf(event: string, data: unknown): string {
    const text = JSON.stringify(data);
    return this.form.kind === 'events' ? `event: ${event}\ndata: ${text}\n\n` : `${text}\n`;
  }

  private isLeft(): void {
    if (this.over) return;
    this.over = true;
    this.ended = new MqError('CANCELLED', 'the reader left');
  }
}
