// @ts-check
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * @typedef {object} Command
 * @property {string} program
 * @property {readonly string[]} args
 * @property {Record<string, string>} [env]  added to the bench's environment
 * @property {number} [exitCode]  the one it is to end with; 0 by default
 *
 * @typedef {object} Finished
 * @property {number} seconds        wall time of the whole process, start-up included
 * @property {number | undefined} peakRssBytes  the kernel's high-water mark; undefined where there is no /proc
 * @property {string} stdout
 *
 * @typedef {object} Running
 * @property {() => void} kill  kill -9, to be awaited through `finished`
 * @property {Promise<Finished>} finished  rejects when the process fails, is killed or hangs
 */

const hangMinutes = 30
const samplePeakMs = 50
const stderrShown = 4000

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()

/** Kills every process the bench has started and not yet seen end. Synchronous, for exit handlers. */
export function killChildren() {
  for (const child of running) child.kill('SIGKILL')
}

/**
 * Starts a process and measures it from outside.
 * @param {Command} command
 * @returns {Running}
 */
export function start({ program, args, env, exitCode = 0 }) {
  const begun = performance.now()
  const child = spawn(program, args, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let seconds = 0
  let stdout = ''
  let stderr = ''
  /** @type {number | undefined} */
  let peakRssBytes
  child.stdout.setEncoding('utf8').on('data', (piece) => (stdout += piece))
  child.stderr
    .setEncoding('utf8')
    .on('data', (piece) => (stderr = (stderr + piece).slice(-stderrShown)))
  const sampler = setInterval(() => {
    peakRssBytes = peakRss(child.pid) ?? peakRssBytes
  }, samplePeakMs)
  const hang = setTimeout(() => child.kill('SIGKILL'), hangMinutes * 60_000)
  child.once('exit', () => (seconds = (performance.now() - begun) / 1000))

  /** @type {Promise<Finished>} */
  const finished = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === exitCode) return resolve({ seconds, peakRssBytes, stdout })
      // Errors end up in logs of CI: without the password of --to.
      const shown = [program, ...args].join(' ').replace(/(:\/\/[^:@/ ]*):[^@/ ]*@/g, '$1:***@')
      reject(new Error(`${shown}\nended with ${signal ?? `exit code ${code}`}\n${stdout}${stderr}`))
    })
  }).finally(() => {
    clearInterval(sampler)
    clearTimeout(hang)
    running.delete(child)
  })
  return { kill: () => void child.kill('SIGKILL'), finished }
}

/**
 * Runs processes at once and measures them as one: time until the last has ended, peaks added up.
 * @param {readonly Command[]} commands
 * @returns {Promise<Finished>}
 */
export async function runTogether(commands) {
  const children = commands.map(start)
  try {
    const all = await Promise.all(children.map((child) => child.finished))
    const peaks = all.map((one) => one.peakRssBytes ?? NaN)
    const peak = peaks.reduce((sum, bytes) => sum + bytes, 0)
    return {
      seconds: Math.max(...all.map((one) => one.seconds)),
      peakRssBytes: Number.isNaN(peak) ? undefined : peak,
      stdout: all.map((one) => one.stdout).join(''),
    }
  } catch (error) {
    for (const child of children) child.kill()
    await Promise.allSettled(children.map((child) => child.finished))
    throw error
  }
}

/** @param {number | undefined} pid */
function peakRss(pid) {
  try {
    // VmHWM is kept by the kernel, so a rare look misses only what the last moments add.
    const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return line ? Number(line[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

/** Settings of the person at the keyboard must not decide what is measured. */
function cleanEnvironment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(PG|MILLRACE_|DATABASE_URL$|NODE_OPTIONS$)/.test(name),
  )
  return Object.fromEntries(kept)
}
