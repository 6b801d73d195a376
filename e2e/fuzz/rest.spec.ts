// Goal: whatever is asked of the REST API, it answers, with a problem document where it can't do as asked, and the process
// lives on. Method: requests made by chance and a seed from the API's own document, with parts left out, of other types
// and far too large, sent to the whole process; then a good request.
import { createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { restRequests, type OpenApi, type RestRequest } from './rest-requests.js';

const count = 3_000;
const seeds = [Number(process.env['COMETMQ_FUZZ_SEED'] ?? 20_261_130)];
const atATime = 8;
/** Every request is answered far sooner; one that never is shall be named, not waited for. */
const answerMsMax = 20_000;

interface Answer {
  readonly request: RestRequest;
  readonly status: number;
  /** What is wrong with the answer itself; undefined: nothing. */
  readonly wrong: string | undefined;
}

describe('the REST API', () => {
  let broker: Standalone;
  let url: string;
  beforeAll(async () => {
    broker = await new Standalone().start();
    url = `http://127.0.0.1:${broker.adminPort}`;
  });
  afterAll(async () => {
    const code = await broker.program.stop();
    await broker.stop();
    expect(code).toBe(0);
  });

  async function ask(request: RestRequest): Promise<Answer> {
    const { method, path, contentType, body } = request;
    try {
      const answer = await fetch(url + path, {
        method,
        ...(body !== undefined && { body }),
        headers: contentType === undefined ? {} : { 'content-type': contentType },
        signal: AbortSignal.timeout(answerMsMax),
      });
      const text = await answer.text();
      return { request, status: answer.status, wrong: faultIn(answer, text) };
    } catch (caught) {
      return { request, status: 0, wrong: `no answer: ${String(caught)}, ${String((caught as Error).cause)}` };
    }
  }

  it.each(seeds)(
    `answers ${count} requests of all its operations as documented, and lives on (seed %i)`,
    async (seed) => {
      const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi;
      await createTopic(broker, { name: 'fuzzed', type: 'normal', writeQueues: 2 });
      await createTopic(broker, { name: 'lite', type: 'lite' });
      // Whatever fetch itself refuses to send (a header that is none, say) never was a request.
      const requests = restRequests(seed, count, document).filter(sendable);
      const answers: Answer[] = [];
      const queue = [...requests];
      const worker = async (): Promise<void> => {
        for (let request = queue.pop(); request; request = queue.pop()) answers.push(await ask(request));
      };
      await Promise.all(Array.from({ length: atATime }, worker));

      expect(answers.filter(({ wrong }) => wrong !== undefined)).toEqual([]);
      const operations = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
      expect(new Set(answers.map(({ request }) => request.operation)).size).toBe(operations.length);
      // Each was tried well and badly: else the requests are all turned away at the gate.
      expect(answers.filter(({ status }) => status < 300).length).toBeGreaterThan(count / 20);
      expect(answers.filter(({ status }) => status === 400).length).toBeGreaterThan(count / 20);
      expect(broker.program.said).not.toContain('unexpected failure');
      const health = await fetch(`${url}/api/v1/cluster`);
      expect(await health.json()).toMatchObject({ healthy: true });
    },
  );
});

function sendable({ contentType }: RestRequest): boolean {
  return contentType === undefined || !/[^\x20-\xff]/.test(contentType);
}

/** An answer is good, or a problem document that says which, with a code of its own and words for people. */
function faultIn(answer: Response, text: string): string | undefined {
  if (answer.status < 400) return undefined;
  // What this system has no part for (users, when none were asked for) is told so.
  const isUnsupported = answer.status === 501 && text.includes('"code":"UNSUPPORTED"');
  if (answer.status >= 500 && !isUnsupported) return `a mistake of ours: ${answer.status} ${text}`;
  if (!/^application\/problem\+json\b/.test(answer.headers.get('content-type') ?? '')) return `no problem: ${text}`;
  const { sentence, params, ...problem } = JSON.parse(text) as Record<string, unknown>;
  if (sentence !== undefined && typeof sentence !== 'string') return `no name of a sentence: ${text}`;
  if (params !== undefined && (sentence === undefined || typeof params !== 'object')) return `params of none: ${text}`;
  const fields = Object.keys(problem).sort().join(' ');
  if (fields !== 'code detail status title type') return `not the shape of a problem: ${text}`;
  if (problem['status'] !== answer.status) return `another status in the document: ${text}`;
  if (/undefined|\[object|\bNaN\b/.test(String(problem['detail']))) return `words of a machine: ${text}`;
  return undefined;
}
