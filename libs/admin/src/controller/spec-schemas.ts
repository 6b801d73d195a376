/** What the specs of the custom resources may say: the fields of the REST API, with its names and limits, and a few of their own. */
import { schemas } from '../api/schemas.js';
import { described, object, text, type Schema } from '../api/schema-parts.js';

type Fields = Readonly<Record<string, Schema>>;

const fieldsOf = (name: string): Fields => schemas[name]?.['properties'] as Fields;

const own = (noun: string): Fields => ({
  deletionPolicy: {
    type: 'string',
    enum: ['delete', 'keep'],
    default: 'delete',
    description: `Whether the ${noun} goes with this resource.`,
  },
  release: described(
    { ...text, minLength: 1, maxLength: 53 },
    `The release of the chart whose cluster is to have the ${noun}; needed where several in the namespace look after resources. Once set it can not be changed.`,
  ),
});
const nameField = (field: Schema | undefined, noun: string, pattern: string): Schema => ({
  ...field,
  pattern,
  description: `The name of the ${noun}; absent: that of this resource. It can not be changed.`,
});
/** As `topicName` of libs/model has it. */
const namePattern = '^[%|a-zA-Z0-9_-]+$';

const topic = fieldsOf('TopicDraft');
export const topicSpec = object(
  {
    ...topic,
    name: nameField(topic['name'], 'topic', namePattern),
    type: { ...topic['type'], default: 'normal', description: 'Type of its messages. It can not be changed.' },
    ...own('topic'),
  },
  [],
);

const group = fieldsOf('GroupDraft');
export const groupSpec = object(
  { ...group, name: nameField(group['name'], 'consumer group', namePattern), ...own('consumer group') },
  [],
);

const user = fieldsOf('UserDraft');
const policies = user['policies'];
export const userSpec = object(
  {
    name: nameField(user['name'], 'user', '^[a-zA-Z0-9_.@-]+$'),
    kind: { ...user['kind'], default: 'normal' },
    enabled: { type: 'boolean', default: true, description: 'Whether it is let in.' },
    quota: user['quota'] ?? {},
    policies: { ...policies, items: schemas['Policy'] },
    produce: user['produce'] ?? {},
    consume: user['consume'] ?? {},
    audit: user['audit'] ?? {},
    secretName: described(
      { ...text, minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$' },
      'The Secret that gets accessKey and secretKey; absent: the name of this resource. It can not be changed.',
    ),
    ...own('user'),
  },
  [],
);
