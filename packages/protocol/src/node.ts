export { installNativeCrypto } from './crypto/native-crypto.ts'
