// The policy of the page allows no code made from text, which zod would try. Imported before any schema is made.
import { config } from 'zod'

config({ jitless: true })
