import type { Argument, Command, Option } from 'commander';
import type { ClusterReport } from '@cometmq/admin';
import { MqError } from '@cometmq/shared';

import { examples, type Act, type Session } from '../session.js';

/** Names that a cluster is asked for while a person waits with a finger on Tab. */
const namesMax = 200;

/** What stands where a name is wanted: which list of the REST API knows such names. */
const lists: Readonly<Record<string, string>> = { topic: '/topics', group: '/groups' };

const scripts: Readonly<Record<string, string>> = {
  bash: `_comet() {
  local IFS=$'\\n'
  COMPREPLY=($(comet __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _comet comet
`,
  zsh: `#compdef comet
_comet() {
  local -a found
  found=("\${(@f)$(comet __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _comet comet
`,
  fish: `function __comet_complete
  set -l words (commandline -opc) (commandline -ct)
  comet __complete -- $words[2..-1] 2>/dev/null
end
complete -c comet -f -a '(__comet_complete)'
`,
};

/** Completion of commands, options and the names of topics, groups, broker sets and contexts, for three shells. */
export function completionCommands(comet: Command, act: Act): void {
  const completion = comet
    .command('completion <shell>')
    .description('Print the completion script of a shell: bash, zsh or fish.')
    .action(
      act((session, shell: string) => {
        const script = scripts[shell];
        if (script === undefined) throw new MqError('CONFIG', `"${shell}": must be bash, zsh or fish`);
        session.world.out(script);
      }),
    );
  examples(
    completion,
    'source <(comet completion bash)',
    'comet completion zsh > "${fpath[1]}/_comet"',
    'comet completion fish > ~/.config/fish/completions/comet.fish',
  );

  comet
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action(
      act(async (session, words: readonly string[]) => {
        const found = await candidates(comet, session, words);
        session.world.out(found.map((each) => `${each}\n`).join(''));
      }),
    );
}

/** What the last of the words may become; none: the shell completes file names. */
async function candidates(comet: Command, session: Session, words: readonly string[]): Promise<readonly string[]> {
  const partial = words.at(-1) ?? '';
  const place = placeOf(comet, words.slice(0, -1));
  const all = await valuesAt(place, session, partial);
  return all.filter((each) => each.startsWith(partial));
}

/** Where a command line has come to: its command, how many arguments that has got, and an option that wants a value. */
interface Place {
  readonly command: Command;
  readonly given: number;
  readonly wanting: Option | undefined;
}

function placeOf(comet: Command, words: readonly string[]): Place {
  let command = comet;
  let given = 0;
  let wanting: Option | undefined;
  for (const word of words) {
    if (wanting) wanting = undefined;
    else if (word.startsWith('-')) {
      const option = optionsOf(command).find(({ short, long }) => word === short || word === long);
      if (option?.required) wanting = option;
    } else {
      const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (next && given === 0) command = next;
      else given += 1;
    }
  }
  return { command, given, wanting };
}

async function valuesAt(
  { command, given, wanting }: Place,
  session: Session,
  partial: string,
): Promise<readonly string[]> {
  if (wanting) return wanting.argChoices ?? namesOf(wanting.attributeName(), session, partial);
  if (partial.startsWith('-')) return optionsOf(command).flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
  if (command.commands.length > 0) {
    const help = command.createHelp();
    return help.visibleCommands(command).map((each) => each.name());
  }
  const argument = command.registeredArguments[given];
  return argument?.argChoices ?? namesOf(kindOf(command, argument), session, partial);
}

/** Of this command and of all above it, whose options it takes too. */
function optionsOf(command: Command): readonly Option[] {
  return [...command.options, ...(command.parent ? optionsOf(command.parent) : [])];
}

/** `<name>` below `topic` is a topic's, and so on; other arguments are called what they are. */
function kindOf(command: Command, argument: Argument | undefined): string {
  return argument?.name() === 'name' ? (command.parent?.name() ?? '') : (argument?.name() ?? '');
}

async function namesOf(kind: string, session: Session, partial: string): Promise<readonly string[]> {
  if (kind === 'context') return session.contexts.names();
  if (kind === 'shell') return Object.keys(scripts);
  const list = lists[kind];
  try {
    if (kind === 'set' || kind === 'brokerSet') {
      const { brokerSets } = await session.api().get<ClusterReport>('/cluster');
      return brokerSets.map(({ name }) => name);
    }
    if (list === undefined) return [];
    const contains = partial === '' ? undefined : partial;
    const found = await session.api().list<{ readonly name: string }>(list, { contains }, namesMax);
    return found.map(({ name }) => name);
  } catch {
    return []; // A cluster that does not answer has no names to offer, and no place for an error on this line.
  }
}
