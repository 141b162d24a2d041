;; Writes "Hello, <second argument>!" to /out/hello.txt. The host hands over two folders: 3 is /in, 4 is /out.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; 0 count of arguments | 4 their bytes | 8 opened file | 12 bytes written | 16 three pieces to write
  ;; 128 addresses of the arguments | 1024 the arguments, each ended by a zero byte
  (data (i32.const 64) "hello.txt")
  (data (i32.const 80) "Hello, ")
  (data (i32.const 96) "!\n")

  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func (export "_start") (local $name i32)
    (call $check (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (call $check (call $args_get (i32.const 128) (i32.const 1024)))
    (local.set $name (i32.load (i32.const 132)))

    (i32.store (i32.const 16) (i32.const 80))
    (i32.store (i32.const 20) (i32.const 7))
    (i32.store (i32.const 24) (local.get $name))
    (i32.store (i32.const 28)
      (i32.sub (i32.add (i32.const 1023) (i32.load (i32.const 4))) (local.get $name)))
    (i32.store (i32.const 32) (i32.const 96))
    (i32.store (i32.const 36) (i32.const 2))

    ;; 1: make the file; 64: the right to write
    (call $check (call $path_open (i32.const 4) (i32.const 0) (i32.const 64) (i32.const 9)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
    (call $check (call $fd_write (i32.load (i32.const 8)) (i32.const 16) (i32.const 3) (i32.const 12)))))
