// usage: node build.mjs [--weights <file.gguf>] [--no-image]; as of the module chat, which is built from the same packages.
import { buildModule } from '../chat/build.mjs'

await buildModule(import.meta.dirname)
