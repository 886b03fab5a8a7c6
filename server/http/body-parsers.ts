import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'

/** JSON and nothing else, for the calls that are described in JSON. */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, isNone(body) ? undefined : JSON.parse(String(body)))
    } catch (thrown) {
      const reason = thrown instanceof Error ? `: ${thrown.message}` : ''
      done(new AnnealError('bad_body', `the body is not JSON${reason}`))
    }
  })
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    if (isNone(body)) return done(null, undefined)
    done(new AnnealError('bad_body', jsonOnly))
  })
}

/** An empty body is none, of whatever type: some clients name one with every request. */
function isNone(body: string | Buffer): boolean {
  return body.length === 0
}

/** For a body that is of another type, or of none that there is. */
export const jsonOnly =
  'the body is taken as JSON only: send it with Content-Type: application/json'

declare module 'fastify' {
  interface FastifyRequest {
    /** The Content-Type that the request came with; empty where it had none, or its body is not taken as bytes. */
    sentContentType: string
  }
}

/**
 * Bytes, whatever their type: it is kept as it came and given back. The HTTP library would refuse what it does not
 * recognise as a media type, so the header is taken out of its sight.
 */
export function keepBodiesAsBytes(app: FastifyInstance): void {
  // A field that every request of the instance has from the start costs nothing to set; a map beside them did.
  app.decorateRequest('sentContentType', '')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const contentType = headers['content-type']
    if (contentType !== undefined) {
      request.sentContentType = contentType
      headers['content-type'] = undefined
    }
    done()
  })
}

/** The Content-Type that a request came with; undefined where it had none. */
export function contentTypeOf(request: FastifyRequest): string | undefined {
  return request.sentContentType === '' ? undefined : request.sentContentType
}
