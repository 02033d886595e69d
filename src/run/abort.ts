import { AbortedError } from '../core/errors.ts'

/** The error of a run that was asked to stop; `cause` is what the stop made fail, if anything. */
export function aborted(cause?: unknown): AbortedError {
  return new AbortedError('stopped as asked; what was committed stays loaded', {
    hint: 'run the same command again: it goes on from there',
    cause,
  })
}

/** What some work gives, unless a signal is given before: then RUN_ABORTED at once, whatever the work goes on to do. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(aborted())
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
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
