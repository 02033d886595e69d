/** In place of the offset behind a field: its text is not one that is certain to mean the same to the server. */
export const ODD: i32 = -1
/** The row does not fit into what is left of the output. */
export const NO_ROOM: i32 = -2
/** The row goes on behind the input. */
export const CUT_OFF: i32 = -3
