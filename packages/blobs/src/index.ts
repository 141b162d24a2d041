export { BlobMismatchError, BlobTooLargeError, StorageFullError, TransferCutError } from './store/blob-errors.ts'
export {
  type Blob,
  type BlobPart,
  type BlobSource,
  ContentStore,
  type ContentStoreOptions,
  type StoreUsage,
} from './store/content-store.ts'
