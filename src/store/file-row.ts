/** A file as a row and back. */
import type { Selectable } from 'kysely'
import type { Extent, Inspection, StoredFile } from '../domain/file.ts'
import type { FileTable } from './schema.ts'

export function rowOfFile(file: StoredFile): FileTable {
  return {
    id: file.id,
    tenant_id: file.tenantId,
    filename: file.filename,
    purpose: file.purpose,
    created_at: file.createdAt,
    expires_at: file.expiresAt,
    deleted_at: file.deletedAt,
    kind: file.kind,
    bytes: file.bytes,
    extents: JSON.stringify(file.extents),
    inspection: file.inspection === null ? null : JSON.stringify(file.inspection),
    batch_id: file.batchId,
  }
}

export function fileOfRow(row: Selectable<FileTable>): StoredFile {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    filename: row.filename,
    purpose: row.purpose,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    deletedAt: row.deleted_at,
    kind: row.kind,
    bytes: row.bytes,
    // Both were written by `rowOfFile`.
    extents: JSON.parse(row.extents) as Extent[],
    inspection: row.inspection === null ? null : (JSON.parse(row.inspection) as Inspection),
    batchId: row.batch_id,
  }
}
