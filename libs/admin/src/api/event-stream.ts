import type { FastifyReply } from 'fastify';

/** Server-sent events, or lines: one answer that goes on. A slow reader is waited for, one that left is noticed. */
export class EventStream {
  private left = false;

  constructor(
    private readonly reply: FastifyReply,
    mediaType = 'text/event-stream',
    /** Browsers save it under this name. */
    fileName?: string,
  ) {
    reply.hijack();
    reply.raw.once('close', () => (this.left = true));
    reply.raw.writeHead(200, {
      'content-type': mediaType,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(fileName !== undefined && {
        'content-disposition': `attachment; filename="${fileName.replaceAll(/[^\w.-]/g, '_')}"`,
      }),
      'x-accel-buffering': 'no', // A proxy in between shall pass each event on at once.
    });
  }

  get isLeft(): boolean {
    return this.left;
  }

  /** Resolves when there is room for more. */
  async send(event: string, data: unknown): Promise<void> {
    return this.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  async line(data: unknown): Promise<void> {
    return this.write(`${JSON.stringify(data)}\n`);
  }

  private async write(text: string): Promise<void> {
    if (this.left) return;
    const { raw } = this.reply;
    if (raw.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        raw.off('drain', done).off('close', done);
        resolve();
      };
      raw.on('drain', done).on('close', done);
    });
  }

  end(): void {
    this.reply.raw.end();
  }
}
