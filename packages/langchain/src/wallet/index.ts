export { type OrderBook, walletPayer } from './wallet-payer.ts'
