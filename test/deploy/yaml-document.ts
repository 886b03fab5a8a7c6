import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const root = join(import.meta.dirname, '../..')

/** A place in a YAML document. What is looked for and not there fails the test with the path that leads to it. */
export class YamlPlace {
  readonly value: unknown
  readonly path: string

  constructor(value: unknown, path: string) {
    this.value = value
    this.path = path
  }

  /** The place below this one; its value is undefined where there is none. */
  at(...steps: readonly (string | number)[]): YamlPlace {
    let value = this.value
    for (const step of steps) {
      value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined
    }
    return new YamlPlace(value, [this.path, ...steps].join(' / '))
  }

  get text(): string {
    assert.ok(typeof this.value === 'string', `${this.path} is a text`)
    return this.value
  }

  get number(): number {
    assert.ok(typeof this.value === 'number', `${this.path} is a number`)
    return this.value
  }

  get list(): readonly YamlPlace[] {
    assert.ok(Array.isArray(this.value), `${this.path} is a list`)
    return this.value.map((_, index) => this.at(index))
  }

  get texts(): readonly string[] {
    return this.list.map(({ text }) => text)
  }

  get keys(): readonly string[] {
    assert.ok(typeof this.value === 'object' && this.value !== null, `${this.path} is a mapping`)
    return Object.keys(this.value)
  }

  /** A mapping of texts. */
  get record(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.keys.map((key) => [key, this.at(key).text]))
  }
}

/** All documents of a file of this repository, with merge keys resolved. */
export function readYaml(path: string): readonly YamlPlace[] {
  const documents = parseAllDocuments(readFileSync(join(root, path), 'utf8'), { merge: true })
  assert.ok(Array.isArray(documents), `${path} has documents`)
  return documents.map((document) => {
    assert.deepEqual(document.errors, [], path)
    return new YamlPlace(document.toJS(), path)
  })
}

/** The only document of a file. */
export function readOnlyYaml(path: string): YamlPlace {
  const [document, ...more] = readYaml(path)
  assert.ok(document !== undefined && more.length === 0, `${path} is one document`)
  return document
}
