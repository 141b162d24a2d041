// First process of a pre-started container. Waits for one frame that says what to run, runs it once, kills whatever it
// left behind, and reports. No libc: the same bytes run in every image. `tools/build-slot-init.mjs` compiles it.
//
// The pipes below /.lp are opened before the frame comes and have no names any more when it does. This process cannot
// be dumped, so the program, which has the same user and no capabilities, cannot open them through /proc/1 either:
// only this process writes records, and the one that says "ended" is written when no other process is left.
//
// For a module that declares hosts it also starts a forwarder: whoever connects to 127.0.0.1:3128 in here is connected to the
// socket /.lp/egress, where the provider's proxy listens. The proxy alone decides what is let through.

typedef unsigned int u32;
typedef unsigned long usize;

#if defined(__x86_64__)
enum { sys_read = 0, sys_write = 1, sys_close = 3, sys_clone = 56, sys_execve = 59, sys_wait4 = 61, sys_kill = 62,
       sys_setsid = 112, sys_prctl = 157, sys_exit_group = 231, sys_openat = 257, sys_dup3 = 292, sys_pipe2 = 293,
       sys_ppoll = 271, sys_statfs = 137, sys_close_range = 436, sys_socket = 41, sys_connect = 42, sys_sendto = 44,
       sys_shutdown = 48, sys_bind = 49, sys_listen = 50, sys_accept4 = 288 };
static long call(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");
#elif defined(__aarch64__)
enum { sys_read = 63, sys_write = 64, sys_close = 57, sys_clone = 220, sys_execve = 221, sys_wait4 = 260,
       sys_kill = 129, sys_setsid = 157, sys_prctl = 167, sys_exit_group = 94, sys_openat = 56, sys_dup3 = 24,
       sys_pipe2 = 59, sys_ppoll = 73, sys_statfs = 43, sys_close_range = 436, sys_socket = 198, sys_connect = 203,
       sys_sendto = 206, sys_shutdown = 210, sys_bind = 200, sys_listen = 201, sys_accept4 = 242 };
static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  mov x0, sp\n  bl begin\n");
#else
#error "no system calls for this architecture"
#endif

enum { read_only = 0, write_only = 1, close_on_exec = 02000000, at_cwd = -100, no_entry = 2, interrupted = 4,
       no_execution = 8, no_child = 10, no_access = 13, not_folder = 20, set_dumpable = 4, no_suid = 2, no_device = 4, no_programs = 8, sig_kill = 9, sig_child = 17,
       wait_all = 0x40000000, mark_close_on_exec = 4, frame_magic = 0x3153504c };
// The provider keeps to the same numbers: slot-frame.ts.
enum { flag_stdin = 1, flag_egress = 2, egress_port = 3128 };
enum { max_frame_bytes = 1 << 20, max_strings = 1 << 14, max_inherited = 1 << 10, max_path = 4096 };

static _Alignas(8) char frame[max_frame_bytes];
static char *arguments[max_strings + 2];
static char *environment[max_strings + max_inherited + 2];
static int record_pipe;

static void end(int code) {
  for (;;) call(sys_exit_group, code, 0, 0, 0, 0);
}

static void report(char kind, u32 value) {
  u32 record[2] = {(u32)kind, value};
  call(sys_write, record_pipe, (long)record, sizeof record, 0, 0);
}

static int open_pipe(const char *path, int mode) {
  long descriptor = call(sys_openat, at_cwd, (long)path, mode | close_on_exec, 0, 0);
  if (descriptor < 0) end(120);
  return (int)descriptor;
}

/** Reads exactly so many bytes; what follows them in the pipe is the program's standard input. */
static int read_all(int from, char *to, usize bytes) {
  while (bytes > 0) {
    long got = call(sys_read, from, (long)to, (long)bytes, 0, 0);
    if (got == -interrupted) continue;
    if (got <= 0) return 0;
    to += got;
    bytes -= (usize)got;
  }
  return 1;
}

/** How /out is mounted here: a runtime may have lost what the provider mounted it with. */
static u32 output_flags(void) {
  static usize facts[15];
  call(sys_statfs, (long)"/out", (long)facts, 0, 0, 0);
  return (u32)facts[10] & (no_suid | no_device | no_programs);
}

static int has_same_name(const char *a, const char *b) {
  while (*a == *b && *a != '=' && *a != 0) a++, b++;
  return (*a == '=' || *a == 0) && (*b == '=' || *b == 0);
}

/** Takes the frame apart: two counts, flags, then strings that each end in a zero. */
static int parse_frame(usize bytes, char **inherited, u32 *flags) {
  u32 *head = (u32 *)frame;
  if (bytes < 13 || frame[bytes - 1] != 0) return 0;
  u32 argument_count = head[0], variable_count = head[1];
  if (argument_count == 0 || argument_count > max_strings || variable_count > max_strings) return 0;
  *flags = head[2];
  char *at = frame + 12, *past = frame + bytes;
  for (u32 index = 0; index < argument_count + variable_count; index++) {
    if (at >= past) return 0;
    if (index < argument_count) arguments[index] = at;
    else environment[index - argument_count] = at;
    while (*at != 0) at++;
    at++;
  }
  if (at != past) return 0;
  // What the engine gave this process (PATH, HOME, HOSTNAME, the image's own) stays, unless the frame names it.
  u32 count = variable_count;
  for (u32 index = 0; inherited[index] != 0; index++) {
    if (index == max_inherited) return 0;
    u32 own = 0;
    while (own < variable_count && !has_same_name(environment[own], inherited[index])) own++;
    if (own == variable_count) environment[count++] = inherited[index];
  }
  return 1;
}

/** Replaces this process by the program, found along PATH like the engine does. Comes back with an error number only. */
static u32 execute(void) {
  const char *name = arguments[0];
  int has_slash = 0;
  usize length = 0;
  for (; name[length] != 0; length++) has_slash |= name[length] == '/';
  if (has_slash || length == 0) return (u32)-call(sys_execve, (long)name, (long)arguments, (long)environment, 0, 0);
  const char *path = "";
  for (u32 index = 0; environment[index] != 0; index++)
    if (has_same_name(environment[index], "PATH")) path = environment[index] + 5;
  static char full[max_path];
  u32 problem = no_entry;
  while (*path != 0) {
    usize used = 0;
    while (*path != 0 && *path != ':' && used < max_path) full[used++] = *path++;
    if (used > 0 && used + length + 2 <= max_path) {
      full[used++] = '/';
      for (usize index = 0; index <= length; index++) full[used + index] = name[index];
      u32 found = (u32)-call(sys_execve, (long)full, (long)arguments, (long)environment, 0, 0);
      if (found != no_entry && found != not_folder) problem = found;
      if (found == no_execution) return found;
    }
    while (*path != 0 && *path != ':') path++;
    if (*path == ':') path++;
  }
  return problem;
}

// The forwarder. One process, no more connections than these at a time; others wait to be accepted.
enum { max_lines = 32, room_bytes = 16384, family_unix = 1, family_inet = 2, stream_socket = 1, no_wait = 04000,
       no_signal = 0x4000, end_of_writing = 1, can_read = 1, can_write = 4, try_again = 11 };
struct room { u32 from, to; int has_ended; char bytes[room_bytes]; };
struct line { int open; int ends[2]; struct room rooms[2]; };
static struct line lines[max_lines];

static void hang_up(struct line *line) {
  call(sys_close, line->ends[0], 0, 0, 0, 0);
  call(sys_close, line->ends[1], 0, 0, 0, 0);
  line->open = 0;
}

/** Reads into an empty room and empties a full one. Tells whether the connection still stands. */
static int carry(int from, int to, struct room *room, int may_read) {
  if (may_read && room->from == room->to && !room->has_ended) {
    long got = call(sys_read, from, (long)room->bytes, room_bytes, 0, 0);
    if (got < 0 && got != -try_again && got != -interrupted) return 0;
    if (got >= 0) room->from = 0, room->to = (u32)got;
    if (got == 0) {
      room->has_ended = 1;
      call(sys_shutdown, to, end_of_writing, 0, 0, 0);
    }
  }
  if (room->from < room->to) {
    long put = call(sys_sendto, to, (long)(room->bytes + room->from), room->to - room->from, no_signal, 0);
    if (put < 0 && put != -try_again && put != -interrupted) return 0;
    if (put > 0) room->from += (u32)put;
  }
  return 1;
}

static void take_line(int listener) {
  struct line *line = lines;
  while (line->open) line++;
  long near = call(sys_accept4, listener, 0, 0, no_wait | close_on_exec, 0);
  if (near < 0) return;
  static const struct { unsigned short family; char path[12]; } proxy = {family_unix, "/.lp/egress"};
  long far = call(sys_socket, family_unix, stream_socket | no_wait | close_on_exec, 0, 0, 0);
  if (far < 0 || call(sys_connect, far, (long)&proxy, sizeof proxy, 0, 0) != 0) {
    if (far >= 0) call(sys_close, far, 0, 0, 0, 0);
    call(sys_close, near, 0, 0, 0, 0);
    return;
  }
  line->open = 1;
  line->ends[0] = (int)near, line->ends[1] = (int)far;
  for (int way = 0; way < 2; way++) line->rooms[way].from = line->rooms[way].to = 0, line->rooms[way].has_ended = 0;
}

static void forward(int listener) {
  for (;;) {
    struct { int descriptor; short wanted, seen; } watched[2 * max_lines + 1];
    u32 open = 0;
    for (u32 index = 0; index < max_lines; index++) {
      struct line *line = &lines[index];
      open += (u32)line->open;
      for (int way = 0; way < 2; way++) {
        // An end is read when the room behind it is empty, and written when that of the other end is not.
        struct room *out = &line->rooms[way], *in = &line->rooms[1 - way];
        short wanted = (short)((out->from == out->to && !out->has_ended ? can_read : 0) | (in->from < in->to ? can_write : 0));
        watched[2 * index + (u32)way].descriptor = line->open && wanted != 0 ? line->ends[way] : -1;
        watched[2 * index + (u32)way].wanted = wanted;
        watched[2 * index + (u32)way].seen = 0;
      }
    }
    watched[2 * max_lines].descriptor = open < max_lines ? listener : -1;
    watched[2 * max_lines].wanted = can_read;
    watched[2 * max_lines].seen = 0;
    if (call(sys_ppoll, (long)watched, 2 * max_lines + 1, 0, 0, 0) < 0) continue;
    for (u32 index = 0; index < max_lines; index++) {
      struct line *line = &lines[index];
      if (!line->open) continue;
      short near = watched[2 * index].seen, far = watched[2 * index + 1].seen;
      if ((near | far) == 0) continue;
      if (!carry(line->ends[0], line->ends[1], &line->rooms[0], near != 0) ||
          !carry(line->ends[1], line->ends[0], &line->rooms[1], far != 0) ||
          (line->rooms[0].has_ended && line->rooms[1].has_ended))
        hang_up(line);
    }
    if (watched[2 * max_lines].seen != 0) take_line(listener);
  }
}

/** Listens before the program starts, so that its first connection is not too early. */
static int start_forwarder(void) {
  static const struct { unsigned short family; unsigned char port[2], address[4]; char rest[8]; } here = {
      family_inet, {egress_port >> 8, egress_port & 0xff}, {127, 0, 0, 1}, {0}};
  long listener = call(sys_socket, family_inet, stream_socket | no_wait | close_on_exec, 0, 0, 0);
  if (listener < 0 || call(sys_bind, listener, (long)&here, sizeof here, 0, 0) != 0 ||
      call(sys_listen, listener, max_lines, 0, 0, 0) != 0)
    return -1;
  long child = call(sys_clone, sig_child, 0, 0, 0, 0);
  if (child == 0) {
    call(sys_setsid, 0, 0, 0, 0, 0);
    // It must not hold the streams of the program open, nor write records.
    call(sys_dup3, listener, 0, 0, 0, 0);
    call(sys_close_range, 1, ~0u, 0, 0, 0);
    forward(0);
  }
  call(sys_close, listener, 0, 0, 0, 0);
  return child < 0 ? -1 : 0;
}

static void run_program(int in, int out, int err, int problem_pipe) {
  call(sys_setsid, 0, 0, 0, 0, 0);
  call(sys_dup3, in, 0, 0, 0, 0);
  call(sys_dup3, out, 1, 0, 0, 0);
  call(sys_dup3, err, 2, 0, 0, 0);
  call(sys_close, record_pipe, 0, 0, 0, 0);
  // Whatever a runtime left open here is not for the program.
  call(sys_close_range, 3, ~0u, mark_close_on_exec, 0, 0);
  u32 problem = execute();
  call(sys_write, problem_pipe, (long)&problem, sizeof problem, 0, 0);
  end(127);
}

__attribute__((used)) void begin(long *stack) {
  char **inherited = (char **)(stack + 1 + stack[0] + 1);
  if (call(sys_prctl, set_dumpable, 0, 0, 0, 0) != 0) end(121);
  record_pipe = open_pipe("/.lp/record", write_only);
  int in = open_pipe("/.lp/stdin", read_only);
  int out = open_pipe("/.lp/stdout", write_only);
  int err = open_pipe("/.lp/stderr", write_only);
  report('R', output_flags());

  u32 head[2];
  // The end of the pipe instead of a frame: the provider is gone or does not need this slot.
  if (!read_all(in, (char *)head, sizeof head)) end(0);
  u32 flags = 0;
  if (head[0] != frame_magic || head[1] > max_frame_bytes || !read_all(in, frame, head[1]) ||
      !parse_frame(head[1], inherited, &flags)) {
    report('F', 0);
    end(122);
  }
  if ((flags & flag_egress) != 0 && start_forwarder() < 0) {
    report('F', 1);
    end(126);
  }
  if ((flags & flag_stdin) == 0) in = open_pipe("/dev/null", read_only);

  int problem_pipe[2];
  if (call(sys_pipe2, (long)problem_pipe, close_on_exec, 0, 0, 0) != 0) end(123);
  long program = call(sys_clone, sig_child, 0, 0, 0, 0);
  if (program == 0) run_program(in, out, err, problem_pipe[1]);
  if (program < 0) {
    report('F', (u32)-program);
    end(124);
  }
  call(sys_close, in, 0, 0, 0, 0);
  call(sys_close, out, 0, 0, 0, 0);
  call(sys_close, err, 0, 0, 0, 0);
  call(sys_close, problem_pipe[1], 0, 0, 0, 0);
  u32 problem = 0;
  if (read_all(problem_pipe[0], (char *)&problem, sizeof problem)) {
    report('X', problem);
    end(127);
  }
  report('S', 0);

  u32 status = 0;
  for (;;) {
    long ended = call(sys_wait4, -1, (long)&status, wait_all, 0, 0);
    if (ended == program) break;
    if (ended < 0 && ended != -interrupted) end(125);
  }
  u32 code = (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
  for (;;) {
    call(sys_kill, -1, sig_kill, 0, 0, 0);
    if (call(sys_wait4, -1, 0, wait_all, 0, 0) == -no_child) break;
  }
  report('E', code);
  // The engine has much to do when a container ends. After a success the provider takes the outputs first and hangs up then.
  struct { int descriptor; short wanted, seen; } record = {record_pipe, 0, 0};
  while (code == 0 && call(sys_ppoll, (long)&record, 1, 0, 0, 0) == -interrupted) continue;
  end((int)code);
}
