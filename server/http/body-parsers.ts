import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'

/** JSON and nothing else, for the calls that are described in JSON. */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      // An empty body is none: some clients name a type with every request.
      done(null, body === '' ? undefined : JSON.parse(String(body)))
    } catch (thrown) {
      const reason = thrown instanceof Error ? `: ${thrown.message}` : ''
      done(new AnnealError('bad_body', `the body is not JSON${reason}`))
    }
  })
}

const contentTypes = new WeakMap<FastifyRequest, string>()

/**
 * Bytes, whatever their type: it is kept as it came and given back. The HTTP library would refuse what it does not
 * recognise as a media type, so the header is taken out of its sight.
 */
export function keepBodiesAsBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const contentType = headers['content-type']
    if (contentType !== undefined) {
      if (contentType !== '') contentTypes.set(request, contentType)
      headers['content-type'] = undefined
    }
    done()
  })
}

/** The Content-Type that a request came with; undefined where it had none. */
export function contentTypeOf(request: FastifyRequest): string | undefined {
  return contentTypes.get(request)
}
