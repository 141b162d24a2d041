// The standard library of TypeScript has these types in its browser part only, which would let browser globals into
// this whole package. These are the parts the runner uses.

/** A program's memory. */
export type WasmMemory = { readonly buffer: ArrayBuffer; grow(pages: number): number }
/** A compiled program. */
export type WasmModule = object
/** A program with its imports bound. */
export type WasmInstance = { readonly exports: Readonly<Record<string, unknown>> }

type WebAssemblyApi = {
  readonly Module: {
    new (bytes: Uint8Array): WasmModule
    imports(module: WasmModule): readonly { readonly module: string; readonly name: string; readonly kind: string }[]
  }
  readonly Instance: new (module: WasmModule, imports: Readonly<Record<string, object>>) => WasmInstance
  readonly Memory: new (descriptor: { readonly initial: number }) => WasmMemory
  readonly RuntimeError: new (message?: string) => Error
  readonly CompileError: new (message?: string) => Error
  readonly LinkError: new (message?: string) => Error
}

// Every engine this runs on has the global; only its types are missing.
export const WebAssembly = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly
