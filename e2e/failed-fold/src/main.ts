/**
 * The standalone program with a mistake in it: views fail to fold records of one kind, which the argument `planted=<kind>`
 * names. For the spec that says how such a process ends.
 */
import { GroupsView } from '@cometmq/consumption';
import { LiteTopicsView } from '@cometmq/lite';
import { RecordKind } from '@cometmq/model';
import { TimersView } from '@cometmq/timers';

const argument = 'planted=';
const at = process.argv.findIndex((each) => each.startsWith(argument));
const [given = ''] = process.argv.splice(at, 1); // The program itself would not know it.
const planted = RecordKind[given.slice(argument.length) as keyof typeof RecordKind];

for (const { prototype } of [GroupsView, TimersView, LiteTopicsView]) {
  const { fold } = Object.getOwnPropertyDescriptors(prototype);
  const whole = fold.value as (this: unknown, record: { readonly kind: RecordKind }) => void;
  prototype.fold = function (this: unknown, record: { readonly kind: RecordKind }): void {
    if (record.kind === planted) throw new TypeError('a planted mistake');
    whole.call(this, record);
  };
}

// eslint-disable-next-line @nx/enforce-module-boundaries -- the program itself, after its views have been changed
void import('../../../apps/standalone/src/main.ts');
