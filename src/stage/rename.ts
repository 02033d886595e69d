import type { Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed } from './columns.ts'
import type { Stage } from './stage.ts'

type Renamed<In, Names extends Readonly<Record<string, string>>> = {
  readonly [Name in keyof In as Name extends keyof Names ? Names[Name] : Name]: In[Name]
}

/**
 * Gives columns other names, `{ old: 'new' }`; the others stay as they are.
 *
 * Errors: CONFIG_BAD_VALUE when two columns would have the same name.
 */
export function rename<
  In extends object = Row,
  const Names extends Readonly<Record<string, string>> = Readonly<Record<string, string>>,
>(names: Names): Stage<In, Renamed<In, Names>> {
  const options = { ...names }
  return {
    name: 'rename',
    identity: options,
    wire: { stage: 'rename', options },
    bind(columns) {
      for (const name of Object.keys(options)) columnNamed(columns, name, 'rename')
      const renamed = columns.map((column) => {
        const name = Object.hasOwn(options, column.name) ? options[column.name]! : column.name
        return { ...column, name }
      })
      const seen = new Set<string>()
      for (const { name } of renamed) {
        if (seen.has(name)) throw twice(name)
        seen.add(name)
      }
      return { columns: renamed }
    },
  }
}

function twice(name: string): ConfigError {
  const message = `rename would leave two columns called ${JSON.stringify(name)}`
  return new ConfigError('CONFIG_BAD_VALUE', message, { hint: 'select the one you want before it' })
}
