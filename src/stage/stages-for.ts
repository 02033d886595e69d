import type { AnyStage, Stage } from './stage.ts'

/** What has rows of a known type. */
interface Typed<R extends object> {
  readonly row?: R
}

/**
 * Stages for the rows of a source, one behind the other: each function's row is typed by what comes before.
 *
 * Shape: `stagesFor(trips, filter((trip) => trip.fare !== null), derive({ cents: (trip) => Number(trip.fare) * 100 }))`
 *        is the list of these stages.
 */
export function stagesFor<R extends object, A extends object>(
  source: Typed<R>,
  a: Stage<R, A>,
): AnyStage[]
export function stagesFor<R extends object, A extends object, B extends object>(
  source: Typed<R>,
  a: Stage<R, A>,
  b: Stage<A, B>,
): AnyStage[]
export function stagesFor<R extends object, A extends object, B extends object, C extends object>(
  source: Typed<R>,
  a: Stage<R, A>,
  b: Stage<A, B>,
  c: Stage<B, C>,
): AnyStage[]
export function stagesFor<
  R extends object,
  A extends object,
  B extends object,
  C extends object,
  D extends object,
>(source: Typed<R>, a: Stage<R, A>, b: Stage<A, B>, c: Stage<B, C>, d: Stage<C, D>): AnyStage[]
export function stagesFor<
  R extends object,
  A extends object,
  B extends object,
  C extends object,
  D extends object,
  E extends object,
>(
  source: Typed<R>,
  a: Stage<R, A>,
  b: Stage<A, B>,
  c: Stage<B, C>,
  d: Stage<C, D>,
  e: Stage<D, E>,
  ...more: AnyStage[]
): AnyStage[]
export function stagesFor(_: Typed<object>, ...stages: AnyStage[]): AnyStage[] {
  return stages
}
