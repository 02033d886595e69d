const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Text of the data's, made safe for a terminal: its control characters could do anything there. */
export function printable(text: string): string {
  return text.replace(CONTROLS, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** Writes the result of a command. */
export function printResult(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Writes what is not the result. */
export function printNote(text: string): void {
  process.stderr.write(`${text}\n`)
}
