/** Every stage, under the names that users write. */
export { derive } from './derive.ts'
export { filter } from './filter.ts'
export { flatMap } from './flat-map.ts'
export { map } from './map.ts'
export { rename } from './rename.ts'
export { select } from './select.ts'
export { where } from './where.ts'
