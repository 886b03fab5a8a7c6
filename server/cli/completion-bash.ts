import type { TreeCommand } from './command-tree.ts'
import { choicesOf, helpTopics, optionsWithValue, placeOf, quoted } from './completion-place.ts'

/**
 * A completion script for bash 3.2 and later, which old Macs have: no associative arrays. Bash splits words at `=` and
 * `:`, so that `--r=one` comes as three.
 */
export function bashCompletion(tree: readonly TreeCommand[]): string {
  const commands = tree.filter(({ place }) => place.length > 0).map((one) => quoted(placeOf(one)))
  const topics = helpTopics(tree)
  const known = [...commands, ...topics.map(([place]) => quoted(place))]
  const valued = optionsWithValue(tree).flatMap(({ place, names }) =>
    names.map((name) => quoted(`${place} ${name}`))
  )
  return `# Completion of anneal for bash, made by \`anneal completion bash\`.

_anneal() {
  local current=\${COMP_WORDS[COMP_CWORD]} place='' option='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == '=' ]]; then
      continue
    elif [[ $option != '' ]]; then
      option=''
      continue
    fi
    case "$place \${COMP_WORDS[i]}" in
      ${known.join(' | ')}) place="$place \${COMP_WORDS[i]}" ;;
      ${valued.join(' | ')}) option=\${COMP_WORDS[i]} ;;
    esac
  done
  [[ $current == '=' ]] && current=''
  COMPREPLY=()
  if [[ $option != '' ]]; then
    case "$place $option" in
${valueCases(tree)}
    esac
  elif [[ $current == -* ]]; then
    case "$place" in
${tree.map(optionCase).join('\n')}
    esac
  else
    case "$place" in
${[...tree.flatMap(wordCase), ...topics.map(([place, names]) => oneCase(place, names))].join('\n')}
    esac
  fi
  [[ $words == '' ]] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _anneal anneal
`
}

function valueCases(tree: readonly TreeCommand[]): string {
  const cases = optionsWithValue(tree).flatMap(({ place, names, value }) => {
    const patterns = names.map((name) => quoted(`${place} ${name}`)).join(' | ')
    if (value.kind === 'choice') {
      return [`      ${patterns}) words=${quoted(choicesOf(value).join(' '))} ;;`]
    }
    if (value.kind === 'text') return []
    const flag = value.kind === 'file' ? '-f' : '-d'
    const paths = `local IFS=$'\\n'; COMPREPLY=($(compgen ${flag} -- "$current"))`
    return [`      ${patterns}) compopt -o filenames 2>/dev/null; ${paths} ;;`]
  })
  return cases.join('\n')
}

function optionCase(one: TreeCommand): string {
  return oneCase(
    placeOf(one),
    one.options.flatMap(({ names }) => names)
  )
}

function wordCase(one: TreeCommand): readonly string[] {
  const words = [...one.subcommands.map(({ name }) => name), ...one.argumentChoices]
  return words.length === 0 ? [] : [oneCase(placeOf(one), words)]
}

function oneCase(place: string, words: readonly string[]): string {
  return `      ${quoted(place)}) words=${quoted(words.join(' '))} ;;`
}
