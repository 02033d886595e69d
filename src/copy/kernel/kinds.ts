/** The kinds that the kernel encodes by itself, with the numbers they have in Kind of ../kinds.ts. */
export const TEXT: u8 = 1
export const INT4: u8 = 2
export const INT8: u8 = 3
export const NUMERIC: u8 = 4
export const DATE: u8 = 5
export const TIMESTAMP: u8 = 6
export const INT2: u8 = 10
/** A field that no column takes. */
export const LEFT_OUT: u8 = 255
