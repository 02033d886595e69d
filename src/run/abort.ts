import { AbortedError } from '../core/errors.ts'

/** The error of a run that was asked to stop; `cause` is what the stop made fail, if anything. */
export function aborted(cause?: unknown): AbortedError {
  return new AbortedError('stopped as asked; what was committed stays loaded', {
    hint: 'run the same command again: it goes on from there',
    cause,
  })
}

/** Does something a while after a signal was given, unless it is disposed of before. */
export function afterAbort(
  signal: AbortSignal,
  milliseconds: number,
  act: () => void,
): { dispose(): void } {
  let timer: NodeJS.Timeout | undefined
  const start = (): void => {
    timer = setTimeout(act, milliseconds)
  }
  if (signal.aborted) start()
  else signal.addEventListener('abort', start)
  return {
    dispose() {
      clearTimeout(timer)
      signal.removeEventListener('abort', start)
    },
  }
}
