import { ConsoleBrowser } from './browser.js';
import { Clients } from './clients.js';
import { Standalone } from './standalone.js';

/** A whole system, its console in a browser, and the official client as its users. */
export class ConsoleWorld {
  private constructor(
    readonly broker: Standalone,
    readonly browser: ConsoleBrowser,
    readonly clients: Clients,
  ) {}

  static async begin(flags: readonly string[] = []): Promise<ConsoleWorld> {
    const broker = new Standalone();
    const clients = new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
    );
    try {
      await broker.start([...flags]);
      const url = `http://127.0.0.1:${broker.adminPort}`;
      return new ConsoleWorld(broker, await ConsoleBrowser.open(url), clients);
    } catch (caught) {
      await broker.stop();
      throw caught;
    }
  }

  /** Where the console is. */
  get url(): string {
    return `http://127.0.0.1:${this.broker.adminPort}`;
  }

  /** Opens a view by its address; it is there when its heading is. */
  async open(path: string, heading: string): Promise<void> {
    await this.browser.page.goto(path);
    await this.browser.page.getByRole('heading', { level: 1, name: heading }).waitFor();
  }

  /** What went wrong in the page since it was asked last. */
  faults(): string[] {
    return this.browser.faults.splice(0);
  }

  async end(): Promise<void> {
    await this.browser.close();
    await this.clients.end();
    await this.broker.stop();
  }
}
