import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP line to a server that can lose what goes one way, and be cut. */
export class CutLine {
  /** What goes to the server, or comes from it, is lost from now on. */
  loseRequests = false;
  loseAnswers = false;
  /** Bytes from the server are passed on until this many have come, then the line is cut. */
  answerBytesMax = Infinity;
  /** How late what comes from the server is passed on. */
  answerDelayMs = 0;
  /** False: nobody is let in. */
  open = true;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
    /** Where connections made from now on lead. */
    public targetPort: number,
  ) {}

  static async to(targetPort: number): Promise<CutLine> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const line = new CutLine(server, (server.address() as AddressInfo).port, targetPort);
    server.on('connection', (near) => line.join(near, line.targetPort));
    return line;
  }

  /** Ends all connections; new ones may be made. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async end(): Promise<void> {
    this.open = false;
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  private join(near: Socket, targetPort: number): void {
    if (!this.open) {
      near.destroy();
      return;
    }
    const far = connect(targetPort, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (bytes) => {
      if (!this.loseRequests) far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (this.loseAnswers) return;
      this.answerBytesMax -= bytes.length;
      if (this.answerBytesMax < 0) near.destroy();
      else if (this.answerDelayMs === 0) near.write(bytes);
      else setTimeout(() => near.write(bytes), this.answerDelayMs);
    });
  }
}
