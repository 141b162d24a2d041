export { installNativeCrypto, installNodeCrypto } from './crypto/native-crypto.ts'
