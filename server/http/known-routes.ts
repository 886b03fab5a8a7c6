import type { FastifyInstance } from 'fastify'
import { AnnealError } from '../../core/errors.ts'

/** Which methods a path would have taken, for requests that no route took. */
export class KnownRoutes {
  readonly #methods = new Map<string, Set<string>>()

  /** Learns of every route that is registered from now on. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ method, url }) => {
      const methods = this.#methods.get(url) ?? new Set()
      for (const name of [method].flat()) methods.add(name)
      this.#methods.set(url, methods)
    })
  }

  /** In the order of the alphabet; empty for a path that nothing is known of. */
  methodsOf(path: string): readonly string[] {
    const found = new Set<string>()
    for (const [url, methods] of this.#methods) {
      if (fits(url.split('/'), path.split('/'))) for (const method of methods) found.add(method)
    }
    return [...found].sort()
  }

  /** `url` as it was requested, with its query. Errors are returned: `method_not_allowed`, else `no_such_route`. */
  explain(method: string, url: string): { readonly error: AnnealError; readonly allow: string } {
    const [path = ''] = url.split('?')
    const shown = path.length <= pathShownChars ? path : `${path.slice(0, pathShownChars)}…`
    const allow = this.methodsOf(path).join(', ')
    const error =
      allow === ''
        ? new AnnealError(
            'no_such_route',
            `there is no ${method} ${shown}: GET /openapi.json lists what there is, and a slash within a bucket or key is written %2F`
          )
        : new AnnealError('method_not_allowed', `${shown} does not take ${method}: use ${allow}`)
    return { error, allow }
  }
}

const pathShownChars = 200

/** A segment of a route that begins with a colon stands for any text. */
function fits(route: readonly string[], path: readonly string[]): boolean {
  return (
    route.length === path.length &&
    route.every((segment, position) => segment.startsWith(':') || segment === path[position])
  )
}
