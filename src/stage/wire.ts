import { type Cast, cast } from './cast.ts'
import { dedupe, type DedupeOptions } from './dedupe.ts'
import { enrich } from './enrich.ts'
import { hash } from './hash.ts'
import type { CsvLookup, TableLookup } from './lookup/enrichment.ts'
import { type Mask, mask } from './mask.ts'
import { quality, type QualityOptions } from './quality.ts'
import type { QualityRules } from './quality/rules.ts'
import { rename } from './rename.ts'
import { select } from './select.ts'
import type { Row } from '../chunk/value.ts'
import type { AnyStage, WireStage } from './stage.ts'
import { type Rules, validate } from './validate.ts'
import { type Condition, where } from './where.ts'

/** Makes a stage again of the plain data that stands for it. */
export function stageOf({ stage, options }: WireStage): AnyStage {
  const make = MAKERS[stage]
  if (make === undefined) throw new Error(`no stage is called ${stage}`)
  return make(options as never)
}

const MAKERS: Readonly<Record<string, (options: never) => AnyStage>> = {
  select: (names: readonly string[]) => select(names),
  rename: (names: Readonly<Record<string, string>>) => rename(names),
  where: (condition: Condition) => where(condition),
  cast: (casts: Readonly<Record<string, Cast>>) => cast(casts),
  validate: (rules: Readonly<Record<string, Rules>>) => validate(rules),
  hash: ({ name, columns }: { name: string; columns: readonly string[] }) =>
    hash<Row>(name, columns),
  enrich: ({ key, options }: { key: readonly string[]; options: TableLookup | CsvLookup }) =>
    enrich<Row, TableLookup | CsvLookup>(key, options),
  dedupe: ({ key, options }: { key: readonly string[]; options: DedupeOptions }) =>
    dedupe<Row>(key, options),
  quality: ({ rules, options }: { rules: QualityRules; options: QualityOptions }) =>
    quality<Row>(rules, options),
  mask: (masks: Readonly<Record<string, Mask>>) => mask(masks),
}
