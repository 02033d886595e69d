const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/**
 * Text made safe for a terminal, where control characters of the data, or of a file's name, could do anything. JSON stays
 * JSON, with the same meaning.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Writes the result of a command. */
export function printResult(text: string): void {
  process.stdout.write(`${printable(text)}\n`)
}

/** Writes what is not the result. */
export function printNote(text: string): void {
  process.stderr.write(`${printable(text)}\n`)
}
