/**
 * A number with the words it counts: "1 message waits", "2 messages wait". Whatever is said with a number is said by this:
 * the one thing of a kind is what people meet first.
 */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
