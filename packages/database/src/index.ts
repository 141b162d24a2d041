export { type Database, type OpenDatabase, openDatabase, type Transaction } from './open-database.ts'
