import type { TreeCommand } from './command-tree.ts'
import { choicesOf, helpTopics, optionsWithValue, placeOf, quoted } from './completion-place.ts'

/** A completion script for zsh, which shows what each candidate is for. */
export function zshCompletion(tree: readonly TreeCommand[]): string {
  const topics = helpTopics(tree)
  const commands = tree.filter(({ place }) => place.length > 0).map(placeOf)
  const known = [...commands, ...topics.map(([place]) => place)].map(quoted)
  const valued = optionsWithValue(tree).flatMap(({ place, names }) =>
    names.map((name) => quoted(`${place} ${name}`))
  )
  return `#compdef anneal
# Completion of anneal for zsh, made by \`anneal completion zsh\`.

_anneal() {
  local place='' option='' word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n $option ]]; then
      option=''
      continue
    fi
    case "$place $word" in
      ${known.join('|')}) place="$place $word" ;;
      ${valued.join('|')}) option=$word ;;
    esac
  done
  if [[ -z $option && $PREFIX == --*=* ]]; then
    option=\${PREFIX%%=*}
    compset -P 1 '*='
  fi
  if [[ -n $option ]]; then
    case "$place $option" in
${valueCases(tree)}
    esac
  elif [[ $PREFIX == -* ]]; then
    case "$place" in
${tree.map(optionCase).join('\n')}
    esac
    _describe -o 'option' candidates
  else
    case "$place" in
${[...tree.flatMap(wordCase), ...topics.map(topicCase)].join('\n')}
    esac
    _describe 'command' candidates
  fi
}

if [[ $funcstack[1] == _anneal ]]; then
  _anneal "$@"
else
  compdef _anneal anneal
fi
`
}

function valueCases(tree: readonly TreeCommand[]): string {
  const cases = optionsWithValue(tree).flatMap(({ place, names, value }) => {
    const patterns = names.map((name) => quoted(`${place} ${name}`)).join('|')
    switch (value.kind) {
      case 'choice':
        return [`      ${patterns}) compadd -- ${choicesOf(value).map(quoted).join(' ')} ;;`]
      case 'file':
        return [`      ${patterns}) _files ;;`]
      case 'directory':
        return [`      ${patterns}) _files -/ ;;`]
      default:
        return []
    }
  })
  return cases.join('\n')
}

function optionCase(one: TreeCommand): string {
  const options = one.options.flatMap(({ names, description }) =>
    names.map((name) => candidate(name, description))
  )
  return `      ${quoted(placeOf(one))}) candidates=(${options.join(' ')}) ;;`
}

function wordCase(one: TreeCommand): readonly string[] {
  const words = [
    ...one.subcommands.map(({ name, description }) => candidate(name, description)),
    ...one.argumentChoices.map(quoted)
  ]
  return words.length === 0
    ? []
    : [`      ${quoted(placeOf(one))}) candidates=(${words.join(' ')}) ;;`]
}

function topicCase([place, names]: readonly [string, readonly string[]]): string {
  return `      ${quoted(place)}) candidates=(${names.map(quoted).join(' ')}) ;;`
}

/** A candidate and its description, with a colon between that the candidate itself must not have. */
function candidate(name: string, description: string): string {
  return quoted(`${name.replaceAll(':', '\\:')}:${description}`)
}
