/** The part of it that is used. */
declare module 'parquetjs-lite' {
  interface ParquetField {
    readonly type: 'INT64' | 'UTF8' | 'BYTE_ARRAY'
    readonly optional: boolean
    readonly statistics: boolean
  }

  class ParquetSchema {
    constructor(fields: Readonly<Record<string, ParquetField>>)
  }

  interface OutputStream {
    write(bytes: Buffer, callback: () => void): void
    end(callback: () => void): void
  }

  class ParquetWriter {
    static openStream(
      schema: ParquetSchema,
      output: OutputStream,
      options: { readonly pageIndex: boolean },
    ): Promise<ParquetWriter>
    setRowGroupSize(rows: number): void
    appendRow(row: object): Promise<void>
    close(): Promise<void>
  }

  interface ParquetCursor {
    next(): Promise<Readonly<Record<string, unknown>> | null>
  }

  class ParquetReader {
    static openFile(path: string): Promise<ParquetReader>
    getCursor(columns?: readonly string[]): ParquetCursor
    close(): Promise<void>
  }

  const parquet: {
    readonly ParquetReader: typeof ParquetReader
    readonly ParquetSchema: typeof ParquetSchema
    readonly ParquetWriter: typeof ParquetWriter
  }
  export default parquet
}
