export { blobCid, type CidVersion, fileCid, folderCid, type FolderFile, pathCid } from './cid/folder-cid.ts'
export { AddressNotAllowedError, FetchFailedError } from './fetch/fetch-errors.ts'
export {
  PublicFetcher,
  type PublicFetchOptions,
  type PublicRequest,
  type PublicResponse,
} from './fetch/fetch-public.ts'
export { httpSource } from './fetch/http-source.ts'
export { publicLookup } from './fetch/public-lookup.ts'
export { isPublicAddress } from './fetch/public-address.ts'
export { openOutputShelf } from './shelf/open-output-shelf.ts'
export { type OutputShelf, ShelfError, type ShelfFile } from './shelf/output-shelf.ts'
export { BlobMismatchError, BlobTooLargeError, StorageFullError, TransferCutError } from './store/blob-errors.ts'
export {
  type Blob,
  type BlobPart,
  type BlobSource,
  ContentStore,
  type ContentStoreOptions,
  type StoreUsage,
} from './store/content-store.ts'
