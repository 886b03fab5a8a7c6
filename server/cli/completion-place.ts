import type { OptionValue, TreeCommand, TreeOption } from './command-tree.ts'

/** An option as the scripts look it up: where it is allowed, and how it is written. */
export interface PlacedOption extends TreeOption {
  readonly place: string
}

/** The words that lead to a command, as the scripts keep them: ` repair pause`. */
export function placeOf({ place }: Pick<TreeCommand, 'place'>): string {
  return place.map((word) => ` ${word}`).join('')
}

/** `help` takes the names of commands. It is no command of the tree, and has no options. */
export function helpTopics(
  tree: readonly TreeCommand[]
): readonly (readonly [place: string, topics: readonly string[]])[] {
  return tree
    .filter(({ subcommands }) => subcommands.some(({ name }) => name === 'help'))
    .map((one) => {
      const names = one.subcommands.map(({ name }) => name).filter((name) => name !== 'help')
      return [`${placeOf(one)} help`, names]
    })
}

/** The options that are followed by a value. */
export function optionsWithValue(tree: readonly TreeCommand[]): readonly PlacedOption[] {
  return tree.flatMap((one) =>
    one.options
      .filter(({ value }) => value.kind !== 'none')
      .map((option) => ({ ...option, place: placeOf(one) }))
  )
}

/** One word of a shell that means exactly this text. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** The words that may follow, where there are few. */
export function choicesOf(value: OptionValue): readonly string[] {
  return value.kind === 'choice' ? value.choices : []
}
