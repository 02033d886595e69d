/** The part of it that is used. */
declare module 'parquetjs-lite' {
  interface ParquetField {
    readonly type: 'INT64' | 'UTF8' | 'BYTE_ARRAY'
    readonly optional: boolean
    readonly statistics: boolean
  }

  interface OutputStream {
    write(bytes: Buffer, callback: () => void): void
    end(callback: () => void): void
  }

  interface ParquetWriter {
    setRowGroupSize(rows: number): void
    appendRow(row: object): Promise<void>
    close(): Promise<void>
  }

  interface ParquetReader {
    getCursor(): { next(): Promise<Readonly<Record<string, unknown>> | null> }
    close(): Promise<void>
  }

  const parquet: {
    readonly ParquetSchema: new (fields: Readonly<Record<string, ParquetField>>) => object
    readonly ParquetWriter: {
      openStream(
        schema: object,
        output: OutputStream,
        options: { readonly pageIndex: boolean },
      ): Promise<ParquetWriter>
    }
    readonly ParquetReader: { openFile(path: string): Promise<ParquetReader> }
  }
  export default parquet
}
