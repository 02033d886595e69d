import type { Row } from '../chunk/value.ts'
import { columnNamed } from './columns.ts'
import type { Stage } from './stage.ts'

/** Keeps the named columns, in the order given. Costs nothing: fields that are left out are not even looked at. */
export function select<In extends object = Row, Name extends keyof In & string = keyof In & string>(
  names: readonly Name[],
): Stage<In, Pick<In, NoInfer<Name>>> {
  const options = [...names]
  return {
    name: 'select',
    identity: options,
    wire: { stage: 'select', options },
    bind: (columns) => ({ columns: names.map((name) => columnNamed(columns, name, 'select')) }),
  }
}
