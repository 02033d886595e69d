/** The part of pino's interface that Millrace logs through; any logger of this shape will do. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const nothing = (): void => undefined

/** A logger that says nothing: the library's default. */
export const silentLog: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
