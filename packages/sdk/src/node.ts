export { readKeyFile, writeKeyFile } from './wallet/key-file.ts'
export { readNetworkFile } from './chain/network-file.ts'
export { sqliteStore } from './store/sqlite-store.ts'
export { hasOpenJobs } from './store/has-open-jobs.ts'
