import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Clock, Log } from '../core/ports.ts'
import { logFields, logText } from './log-fields.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LogOptions {
  readonly level: LogLevel
  /** For people at a terminal: short lines, with colours where the terminal has them. */
  readonly pretty: boolean
  /** Written with every event, so that the logs of several nodes can be read together. */
  readonly node: string
  /** Where the lines go; standard output unless given. */
  readonly destination?: DestinationStream
}

const standardOutput = 1

/**
 * Events as JSON, one line each: `level`, `time` (ISO 8601), `node`, the event's fields, and `msg`. Lines are written
 * before the call returns, so that the last ones before a crash are not lost.
 */
export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? pino.destination({ dest: standardOutput, sync: true })
  const logger = pino(
    {
      level: options.level,
      base: { node: options.node },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Errors have their final form by then.
      serializers: { err: (error: unknown) => error }
    },
    options.pretty ? prettyStream(destination) : destination
  )
  return new PinoLog(logger)
}

function prettyStream(destination: DestinationStream): DestinationStream {
  const prettify = prettyFactory({
    colorize: process.stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === '',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    // Errors would be printed over several lines.
    errorLikeObjectKeys: []
  })
  return { write: (line) => destination.write(prettify(line)) }
}

class PinoLog implements Log {
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  debug(fields: object, message: string): void {
    this.#write('debug', fields, message)
  }

  info(fields: object, message: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#write('error', fields, message)
  }

  #write(level: keyof Log, fields: object, message: string): void {
    if (!this.#logger.isLevelEnabled(level)) return
    this.#logger[level](logFields(fields), logText(message))
  }
}

const minuteMs = 60_000
const eventNamesMax = 1000

interface EventTally {
  readonly level: keyof Log
  readonly message: string
  count: number
}

/**
 * Passes on at most `perMinute` lines a minute for each event, which is a level with a message. How many were left out
 * is said in one line for the event, with `leftOut`, at the first call after its minute has ended.
 */
export function rateLimitedLog(log: Log, clock: Clock, perMinute: number): Log {
  const tallies = new Map<string, EventTally>()
  let minuteEndMs = Number.NEGATIVE_INFINITY

  const endMinute = (): void => {
    for (const { level, message, count } of tallies.values()) {
      const leftOut = count - perMinute
      if (leftOut > 0) log[level]({ leftOut }, `${message} (left out: ${leftOut} more like this)`)
    }
    tallies.clear()
  }

  const write = (level: keyof Log, fields: object, message: string): void => {
    const nowMs = clock.monotonic()
    if (nowMs >= minuteEndMs) {
      endMinute()
      minuteEndMs = nowMs + minuteMs
    }
    // Messages are few and constant; should one ever hold what a user sent, the rest of a minute shares one tally.
    const known = tallies.has(`${level} ${message}`) || tallies.size < eventNamesMax
    const name = known ? message : 'other events'
    const tally = tallies.get(`${level} ${name}`) ?? { level, message: name, count: 0 }
    tallies.set(`${level} ${name}`, tally)
    if (++tally.count <= perMinute) log[level](fields, message)
  }

  return {
    debug: (fields, message) => write('debug', fields, message),
    info: (fields, message) => write('info', fields, message),
    warn: (fields, message) => write('warn', fields, message),
    error: (fields, message) => write('error', fields, message)
  }
}
