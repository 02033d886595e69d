// @ts-check
import { run as checkpointCost } from './checkpoint-cost.mjs'
import { run as copyRows } from './copy-rows.mjs'
import { run as cutAlone } from './cut-alone.mjs'
import { run as lineitem } from './lineitem.mjs'
import { run as memory } from './memory.mjs'
import { run as rejects } from './rejects.mjs'
import { run as resume } from './resume.mjs'
import { narrow, text, wide } from './shapes.mjs'
import { run as stages } from './stages.mjs'

/** @typedef {(bench: import('../harness/bench.mjs').Bench) => Promise<import('../harness/report.mjs').Section>} Scenario */

/** Every scenario by its name for --only, in the order of the report. @type {Record<string, Scenario>} */
export const scenarios = {
  lineitem,
  narrow,
  wide,
  text,
  stages,
  'copy-rows': copyRows,
  'checkpoint-cost': checkpointCost,
  rejects,
  memory,
  'cut-alone': cutAlone,
  resume,
}
