/** What the store needs from an ordered key-value database. `storage/level.ts` opens the real one. */
export interface Database {
  /** Undefined where there is none. Errors: throws what the database throws on damage. */
  getSync(key: Buffer): Buffer | undefined
  /** All or nothing. With `sync` it resolves only once the operating system reports the bytes on disk. */
  batch(operations: DatabaseOperation[], options: { readonly sync: boolean }): Promise<void>
  /**
   * At most `limit` rows of [from, to) in order, read in one call. LevelDB 1.20 may return outdated rows through an
   * iterator or snapshot that stays open across a compaction, so nothing here can be kept open.
   */
  slice(from: Buffer, to: Buffer, limit: number): Promise<[Buffer, Buffer][]>
  /**
   * As `slice`, over blocks that cannot be read: without the rows that are only there, and with no bytes for those of
   * which an older copy shows instead. Slower by far, for when `slice` has failed. Absent where nothing
   * can be done about that. Errors: what is no damage.
   */
  sliceReadable?(from: Buffer, to: Buffer, limit: number): Promise<[Buffer, Buffer][]>
  /** Something on the disk is not what was written: rows that are kept in memory are to be read from there again. */
  forgetCached?(): void
  close(): Promise<void>
}

export type DatabaseOperation =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }
