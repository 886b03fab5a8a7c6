import type { TreeCommand, TreeOption } from './command-tree.ts'
import { choicesOf, helpTopics, optionsWithValue, placeOf } from './completion-place.ts'

/** A completion script for fish: one line for each candidate, with the place where it is one. */
export function fishCompletion(tree: readonly TreeCommand[]): string {
  const topics = helpTopics(tree)
  const commands = tree.filter(({ place }) => place.length > 0).map(placeOf)
  const known = [...commands, ...topics.map(([place]) => place)].map(quotedForFish)
  const valued = optionsWithValue(tree).flatMap(({ place, names }) =>
    names.map((name) => quotedForFish(`${place} ${name}`))
  )
  const lines = [
    ...tree.flatMap((one) => [...wordLines(one), ...optionLines(one)]),
    ...topics.map(([place, names]) => `${at(place)} -a ${quotedForFish(names.join(' '))}`)
  ]
  return `# Completion of anneal for fish, made by \`anneal completion fish\`.

function __anneal_place
    set -l place ''
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch "$place $word"
            case ${known.join(' ')}
                set place "$place $word"
            case ${valued.join(' ')}
                set skip yes
        end
    end
    echo "$place"
end

function __anneal_at
    test (__anneal_place) = "$argv[1]"
end

complete -c anneal -f
${lines.join('\n')}
`
}

function at(place: string): string {
  // Quoted twice: once for this line, and once for the condition when it is run.
  return `complete -c anneal -n ${quotedForFish(`__anneal_at ${quotedForFish(place)}`)}`
}

function wordLines(one: TreeCommand): readonly string[] {
  const here = at(placeOf(one))
  return [
    ...one.subcommands.map(
      ({ name, description }) =>
        `${here} -a ${quotedForFish(name)} -d ${quotedForFish(description)}`
    ),
    ...one.argumentChoices.map((word) => `${here} -a ${quotedForFish(word)}`)
  ]
}

function optionLines(one: TreeCommand): readonly string[] {
  const here = at(placeOf(one))
  return one.options.map((option) => {
    const names = option.names.map((name) =>
      name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
    )
    const description = `-d ${quotedForFish(option.description)}`
    return [here, ...names, ...valueFlags(option), description].join(' ')
  })
}

function valueFlags({ value }: TreeOption): readonly string[] {
  switch (value.kind) {
    case 'none':
      return []
    case 'text':
      return ['-x']
    case 'choice':
      return ['-x', '-a', quotedForFish(choicesOf(value).join(' '))]
    case 'file':
      return ['-r', '-F']
    case 'directory':
      return ['-x', '-a', quotedForFish('(__fish_complete_directories)')]
  }
}

/** In single quotes fish knows two escapes: of the quote and of the backslash. */
function quotedForFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
