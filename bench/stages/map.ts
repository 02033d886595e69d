import { map, type Row } from 'millrace'

/** A new object for each row, so every column becomes a value and is encoded again. */
export default map((row: Row) => ({
  ...row,
  l_comment: (row['l_comment'] as string).toUpperCase(),
}))
