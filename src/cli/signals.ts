import { Exit } from './exit-codes.ts'

/** What a signal asks of a command that can be stopped. */
export interface Stop {
  readonly signal: AbortSignal
  /** 130 or 143 once a signal came, else null. */
  exitCode(): number | null
  /** Takes the handlers away. */
  dispose(): void
}

/** SIGINT and SIGTERM: once, to finish or roll back what is in flight; twice, to end at once. */
export function stopOnSignals(onFirst: () => void): Stop {
  const controller = new AbortController()
  let code: number | null = null
  function handle(name: NodeJS.Signals): void {
    if (code !== null) process.exit(code)
    code = name === 'SIGINT' ? Exit.sigint : Exit.sigterm
    onFirst()
    controller.abort()
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    signal: controller.signal,
    exitCode: () => code,
    dispose() {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}
