/** Where the command line looks for the clients' port when nothing is said. */
const usualEndpoint = '127.0.0.1:8081';

/** What somebody new may type next, as it works with the ports this was started with. */
export function firstSteps(comet: string, endpoint: string): string[] {
  const at = endpoint === usualEndpoint ? '' : ` --endpoint ${endpoint}`;
  return [
    `Send a first message:  ${comet} send greetings "Hello"${at}`,
    `Receive it:            ${comet} receive greetings --group readers${at}`,
    'Clients in Java, Go, Python, Node.js: README.md; everything else: docs/.',
  ];
}
