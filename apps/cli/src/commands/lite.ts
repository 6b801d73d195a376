import type { Command } from 'commander';

import { bytesText, timeText, type View } from '../printer.js';
import { examples, type Act } from '../session.js';
import { missingView, topicPath } from './topic.js';

interface LiteTopicView {
  readonly name: string;
  readonly brokerSet: string;
  readonly messages: number;
  readonly bytes: number;
}

interface LiteTopicReport {
  readonly name: string;
  readonly topic: string;
  readonly places: readonly {
    readonly brokerSet: string;
    readonly queueId: number;
    readonly minOffset: number;
    readonly maxOffset: number;
    readonly bytes: number;
    readonly lastMs: number;
    readonly groups: readonly {
      readonly group: string;
      readonly committed?: number;
      readonly lag: number;
      readonly inFlight: number;
      readonly subscribers: readonly string[];
    }[];
  }[];
  readonly missing: readonly { readonly brokerSet: string; readonly detail: string }[];
}

const liteView: View<LiteTopicView> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'MESSAGES', value: ({ messages }) => messages },
    { title: 'BYTES', value: ({ bytes }) => bytesText(bytes) },
  ],
};

const placeView: View<LiteTopicReport['places'][number]> = {
  name: ({ brokerSet }) => brokerSet,
  columns: [
    { title: 'BROKER SET', value: ({ brokerSet }) => brokerSet },
    { title: 'QUEUE', value: ({ queueId }) => queueId },
    { title: 'MIN', value: ({ minOffset }) => minOffset },
    { title: 'MAX', value: ({ maxOffset }) => maxOffset },
    { title: 'BYTES', value: ({ bytes }) => bytesText(bytes) },
    { title: 'NEWEST', value: ({ lastMs }) => (lastMs === 0 ? '' : timeText(lastMs)) },
  ],
};

const readerView: View<LiteTopicReport['places'][number]['groups'][number]> = {
  name: ({ group }) => group,
  columns: [
    { title: 'GROUP', value: ({ group }) => group },
    { title: 'COMMITTED', value: ({ committed }) => committed ?? '' },
    { title: 'LAG', value: ({ lag }) => lag },
    { title: 'IN FLIGHT', value: ({ inFlight }) => inFlight },
    { title: 'SUBSCRIBERS', value: ({ subscribers }) => subscribers.join(', ') },
  ],
};

const reportView: View<LiteTopicReport> = {
  name: ({ name }) => name,
  columns: [
    { title: 'NAME', value: ({ name }) => name },
    { title: 'TOPIC', value: ({ topic }) => topic },
  ],
};

/** The lite topics of a LITE topic. */
export function liteCommands(comet: Command, act: Act): void {
  const lite = comet.command('lite').description('Lite topics below a topic of type LITE.');
  const pathOf = (topic: string, name: string): string => `${topicPath(topic)}/lite-topics/${encodeURIComponent(name)}`;
  examples(lite, 'comet lite ls sessions --prefix user-', 'comet lite describe sessions user-42');

  lite
    .command('ls <topic>')
    .description('List lite topics, in no particular order.')
    .option('--prefix <text>', 'only names that begin with this')
    .action(
      act(async (session, topic: string, { prefix }: { prefix?: string }) => {
        session.printer.list(
          liteView,
          await session.api().list<LiteTopicView>(`${topicPath(topic)}/lite-topics`, { prefix }),
        );
      }),
    );

  lite
    .command('describe <topic> <lite-topic>')
    .description('Show a lite topic: its messages, the progress of each group, its subscribers.')
    .action(
      act(async (session, topic: string, name: string) => {
        const report = await session.api().get<LiteTopicReport>(pathOf(topic, name));
        const { printer } = session;
        const { places, missing } = report;
        const readers = places.flatMap(({ groups }) => groups);
        printer.one(
          reportView,
          report,
          { title: 'WHERE', empty: places.length === 0, print: () => printer.list(placeView, places) },
          { title: 'GROUPS', empty: readers.length === 0, print: () => printer.list(readerView, readers) },
          { title: 'DID NOT ANSWER', empty: missing.length === 0, print: () => printer.list(missingView, missing) },
        );
      }),
    );

  lite
    .command('delete <topic> <lite-topic>')
    .description('Delete a lite topic with all its messages; its subscribers are notified.')
    .action(
      act(async (session, topic: string, name: string) => {
        await session.api().call('DELETE', pathOf(topic, name));
        session.note(`lite topic "${name}" was deleted`);
      }),
    );
}
