declare module 's3rver' {
  // biome-ignore lint/style/noDefaultExport: it is what the package has.
  export default class S3rver {
    constructor(options: {
      readonly port: number
      readonly address: string
      readonly silent: boolean
      readonly directory: string
      readonly configureBuckets: readonly { readonly name: string; readonly configs: readonly unknown[] }[]
    })
    run(): Promise<{ readonly port: number }>
    close(): Promise<void>
  }
}
