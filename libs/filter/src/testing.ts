import type { MessageProperties, PropertyName } from './properties.js';

/** The properties of a message that is not one: from an object. */
export function mapProperties({
  tag = '',
  ...texts
}: {
  readonly tag?: string;
  readonly [name: string]: string | undefined;
}): MessageProperties {
  let sought: readonly PropertyName[] = [];
  return {
    tag: Buffer.from(tag, 'utf8'),
    seek: (names) => (sought = names),
    text: (index) => (Object.hasOwn(texts, sought[index]!.text) ? texts[sought[index]!.text] : undefined),
  };
}
