export interface MetricFamily {
  readonly type: string
  readonly help: string
}

export interface Metrics {
  readonly families: ReadonlyMap<string, MetricFamily>
  /** By name and labels as they are written. */
  readonly samples: ReadonlyMap<string, number>
}

const sample =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]?Inf)$/

/**
 * The text format of Prometheus, read strictly.
 *
 * Errors: throws for a line that is none, a sample without its TYPE and HELP before it, and one that comes twice.
 */
export function parseMetrics(text: string): Metrics {
  const families = new Map<string, MetricFamily>()
  const helps = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP') helps.set(name, rest)
    else if (keyword === 'TYPE') {
      if (families.has(name)) throw new Error(`${name} is described twice`)
      families.set(name, { type: rest, help: helps.get(name) ?? '' })
    } else {
      const [, metric = '', labels = '', value = ''] = sample.exec(line) ?? []
      if (metric === '') throw new Error(`no line of the format: ${line}`)
      const family = metric.replace(/_(bucket|sum|count)$/, '')
      if (!families.has(metric) && families.get(family)?.type !== 'histogram') {
        throw new Error(`no TYPE before ${line}`)
      }
      const id = metric + labels
      if (samples.has(id)) throw new Error(`${id} comes twice`)
      samples.set(id, Number(value.replace('Inf', 'Infinity')))
    }
  }
  return { families, samples }
}
