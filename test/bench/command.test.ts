import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { StubServer } from './stub-server.ts'

const program = fileURLToPath(new URL('../../bin/anneal.js', import.meta.url))
const quick = '--runs 2 --seconds 0.1 --warmup-seconds 0 --keys 50 --connections 3'.split(' ')

let stub = new StubServer()

beforeEach(async () => {
  stub = new StubServer()
  await stub.listen()
})

afterEach(() => stub.close())

async function bench(...args: string[]) {
  const child = spawn(process.execPath, [program, 'bench', 'load', ...args])
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit')
  ])
  return { stdout, stderr, code: child.exitCode }
}

test('a running cluster is filled, loaded and reported as one JSON document', async () => {
  const all = ['--workloads', 'update,put,get', '--json']
  const { stdout, code } = await bench('--node', stub.url, ...quick, ...all)
  assert.equal(code, 0)
  const document = JSON.parse(stdout)
  assert.deepEqual(
    document.reports.map((report: { workload: string }) => report.workload),
    ['put', 'get', 'update']
  )
  for (const report of document.reports) {
    assert.equal(report.runs.length, 2)
    assert.ok(report.opsPerSecond.median > 0)
    assert.ok(report.p50Ms.median <= report.p99Ms.median)
    assert.equal(report.serverCpuMicrosPerOp, null)
    assert.deepEqual(report.errors, {})
  }
  assert.deepEqual(stub.buckets.get('/buckets/bench-put'), { conflict: 'lww' })
  assert.deepEqual(stub.buckets.get('/buckets/bench-update'), { conflict: 'siblings' })
  assert.equal(stub.values.size, 100)
})

test('errors are shown by status and fail the command', async () => {
  stub.intercept = (request, response) => {
    if (request.method === 'GET') response.writeHead(503, { 'content-length': 0 }).end()
    return response.headersSent
  }
  const { stdout, code } = await bench('--node', stub.url, ...quick)
  assert.equal(code, 1)
  assert.match(stdout, /\d x 503\n/)
})

test('a cluster that cannot be filled is an error, not a figure', async () => {
  stub.intercept = (_request, response) => {
    response.writeHead(507, { 'content-length': 0 }).end()
    return true
  }
  const { stdout, stderr, code } = await bench('--node', stub.url, ...quick)
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /keys could not be written to bucket bench-put: 50 x 507/)
})

test('a node that is not there is named', async () => {
  const { url } = stub
  await stub.close()
  const { stderr, code } = await bench('--node', url, ...quick)
  await stub.listen()
  assert.equal(code, 1)
  assert.ok(stderr.includes(`${url}/buckets/bench-put cannot be reached`))
})

test('a signal ends the benchmark, with the exit code of the signal', async () => {
  const child = spawn(process.execPath, [program, 'bench', 'load', '--node', stub.url, ...quick])
  const errors = text(child.stderr)
  const exit = once(child, 'exit')
  stub.intercept = () => child.kill('SIGINT')
  assert.deepEqual(await exit, [130, null])
  assert.match(await errors, /interrupted by SIGINT/)
})

test('options that make no sense are refused with what would', async () => {
  const cases: [string[], RegExp][] = [
    [['--runs', '0'], /from 1 to 100/],
    [['--connections', '2.5'], /whole number/],
    [['--workloads', 'put,delete'], /Known are put, get, update, not: delete/],
    [['--node', 'https://127.0.0.1:1'], /plain http/],
    [['--node', 'http://127.0.0.1:1', '--durability', 'os'], /cannot be used with/]
  ]
  const results = await Promise.all(cases.map(([args]) => bench(...args)))
  for (const [index, [, message]] of cases.entries()) {
    assert.match(results[index]?.stderr ?? '', message)
    assert.equal(results[index]?.code, 2)
  }
})
