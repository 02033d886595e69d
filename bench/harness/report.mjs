// @ts-check

/**
 * @typedef {{ head: string[], rows: string[][] }} Table
 *
 * @typedef {object} Bar
 * @property {string} what
 * @property {string} bar
 * @property {string} measured
 * @property {boolean | undefined} met  undefined: not measured
 *
 * @typedef {object} Section  what a scenario found
 * @property {string} title
 * @property {string[]} notes
 * @property {Table[]} tables
 * @property {Bar[]} bars
 */

export const caveats = [
  'The server, the loader and the contenders share the cores and the disk of one machine, over loopback.',
  'Tables have no index, no constraint and no trigger; autovacuum is off on them. With indexes the server is the limit, and every loader comes closer to every other.',
  'The data is made by a seeded generator. Other columns give other figures.',
  'The files are in the page cache: the disk is measured when the server writes, not when a loader reads.',
  'Trust ratios more than seconds: contenders run in turn (A B C, B C A, ...), and ratios compare runs of the same round.',
]

export const method = [
  'A time is the wall time of the whole process, start-up included, for ours and for every other contender alike.',
  'Before each run: the table is dropped and made again, and the server runs CHECKPOINT, so that no run pays for the one before.',
  "After each run, before its time is accepted: row count and an order-independent checksum of the table must equal those of the server's own `COPY ... (FORMAT csv)` of the same file.",
  'Figures are medians with the smallest and largest beside them. Peak RSS is the highest VmHWM of the process (of all processes added up when there are several) over all its runs.',
  'Units: MB is 1,000,000 bytes of CSV; a ratio is of rows/s.',
]

/**
 * @param {object} found
 * @param {string} found.title
 * @param {readonly string[]} found.warnings
 * @param {readonly [string, string][]} found.machine
 * @param {readonly Section[]} found.sections
 */
export function markdown({ title, warnings, machine, sections }) {
  const bars = sections.flatMap((section) => section.bars)
  return [
    `# ${title}`,
    list([...warnings.map((warning) => `**${warning}**`), ...caveats]),
    '## Bars',
    table({ head: ['', 'bar', 'measured', ''], rows: bars.map(barRow) }),
    ...sections.flatMap((section) => [
      `## ${section.title}`,
      ...(section.notes.length ? [list(section.notes)] : []),
      ...section.tables.map(table),
    ]),
    '## Method',
    list(method),
    '## Machine',
    table({ head: ['', ''], rows: machine.map((line) => [...line]) }),
    '',
  ].join('\n\n')
}

/** @param {Bar} bar */
const barRow = ({ what, bar, measured, met }) => [
  what,
  bar,
  measured,
  met === undefined ? 'not measured' : met ? 'pass' : '**miss**',
]

/** @param {readonly string[]} items */
const list = (items) => items.map((item) => `- ${item}`).join('\n')

/** @param {Table} table */
const table = ({ head, rows }) =>
  [head, head.map((_, column) => (column ? '--:' : ':--')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')

/**
 * @param {string} what
 * @param {number} least
 * @param {number | undefined} measured
 * @param {(value: number) => string} show
 * @returns {Bar}
 */
export const atLeast = (what, least, measured, show) =>
  judged(what, `>= ${show(least)}`, measured, show, (value) => value >= least)

/**
 * @param {string} what
 * @param {number} most
 * @param {number | undefined} measured
 * @param {(value: number) => string} show
 * @returns {Bar}
 */
export const atMost = (what, most, measured, show) =>
  judged(what, `<= ${show(most)}`, measured, show, (value) => value <= most)

/**
 * @param {string} what
 * @param {string} bar
 * @param {number | undefined} measured
 * @param {(value: number) => string} show
 * @param {(value: number) => boolean} judge
 * @returns {Bar}
 */
function judged(what, bar, measured, show, judge) {
  const known = measured !== undefined && !Number.isNaN(measured)
  return {
    what,
    bar,
    measured: known ? show(measured) : '-',
    met: known ? judge(measured) : undefined,
  }
}

/** @param {number} ratio */
export const times = (ratio) => `${ratio.toFixed(2)}x`
