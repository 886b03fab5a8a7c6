import { ByteWriter } from '../core/bytes.ts'
import type { Reconciled, ReconcileRequest } from './frames.ts'
import { FieldReader, noBytes, writeBytes, writeUint } from './wire-format.ts'

/** The envelope of exchanges between replicas; what is in it is coded where it is understood, in repair/reconcile. */
export function encodeReconcile({ session, number, payload }: ReconcileRequest): Buffer {
  const writer = new ByteWriter(48 + payload.length)
  writeBytes(writer, 1, session)
  writeUint(writer, 2, number)
  writeBytes(writer, 3, payload)
  return writer.finish()
}

export function decodeReconcile(bytes: Buffer): ReconcileRequest {
  const fields = new FieldReader(bytes)
  const body = { kind: 'reconcile' as const, session: noBytes, number: 0, payload: noBytes }
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) body.session = fields.bytes()
    else if (field === 2) body.number = fields.uint()
    else if (field === 3) body.payload = fields.bytes()
  }
  return body
}

export function encodeReconciled({ payload }: Reconciled): Buffer {
  const writer = new ByteWriter(16 + payload.length)
  writeBytes(writer, 1, payload)
  return writer.finish()
}

export function decodeReconciled(bytes: Buffer): Reconciled {
  const fields = new FieldReader(bytes)
  let payload = noBytes
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) payload = fields.bytes()
  }
  return { kind: 'reconciled', payload }
}
