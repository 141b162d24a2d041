// What a hostile image tries against the machine that runs it. No libc: one file, the same bytes from every build.
// Groups are named as arguments and run in that order; each probe prints one line of JSON:
//   {"probe":"chroot","result":"denied","errno":1}
// "allowed" means that the call went through, never that anything was done with it: nothing here harms its host.
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

typedef unsigned long word;
typedef unsigned char byte;

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n");
static long sys(word n, word a, word b, word c, word d, word e, word f) {
  long result;
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = e;
  register word r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl begin\n");
static long sys(word n, word a, word b, word c, word d, word e, word f) {
  register word x8 __asm__("x8") = n;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = e;
  register word x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return (long)x0;
}
#endif
// Every argument as a word, absent ones as zero.
#define SYS7(n, a, b, c, d, e, f, ...) sys((word)(n), (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))
#define SYS(...) SYS7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

void *memset(void *to, int value, word count) {
  for (word i = 0; i < count; i++) ((volatile byte *)to)[i] = (byte)value;
  return to;
}
void *memcpy(void *to, const void *from, word count) {
  for (word i = 0; i < count; i++) ((volatile byte *)to)[i] = ((const byte *)from)[i];
  return to;
}
static word length(const char *text) {
  word count = 0;
  while (text[count]) count++;
  return count;
}
static int starts(const char *text, const char *prefix) {
  while (*prefix) if (*text++ != *prefix++) return 0;
  return 1;
}
static int same(const char *a, const char *b) { return starts(a, b) && length(a) == length(b); }
static word number(const char *text) {
  word value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (word)(*text++ - '0');
  return value;
}
static char *add(char *at, const char *text) {
  while (*text) *at++ = *text++;
  return at;
}
static char *addNumber(char *at, word value) {
  char digits[24];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10); while (value /= 10);
  while (count) *at++ = digits[--count];
  return at;
}

static void print(const char *probe, const char *name, long result, long count) {
  char line[512], *at = line;
  at = add(at, "{\"probe\":\"");
  at = add(at, probe);
  // Names come from the system; only what cannot break the line is printed.
  for (int i = 0; name && name[i] && i < 96; i++) {
    char c = name[i];
    *at++ = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/' || c == '.' || c == '-' ? c : '?';
  }
  at = add(at, "\",\"result\":\"");
  at = add(at, result < 0 ? "denied" : "allowed");
  at = add(at, "\",\"errno\":");
  at = addNumber(at, result < 0 ? (word)-result : 0);
  if (count >= 0) {
    at = add(at, ",\"count\":");
    at = addNumber(at, (word)count);
  }
  at = add(at, "}\n");
  SYS(__NR_write, 1, line, at - line);
}
static void try(const char *probe, long result) { print(probe, 0, result, -1); }
static void tryPath(const char *probe, const char *path, long result) { print(probe, path, result, -1); }

static long openAt(const char *path, int flags) { return SYS(__NR_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600); }
static void close(long fd) { if (fd >= 0) SYS(__NR_close, fd); }
static long fork(void) { return SYS(__NR_clone, 17 /* SIGCHLD */); }
static void sleep(word milliseconds) {
  word time[2] = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  SYS(__NR_nanosleep, time, 0);
}
static word clock(int which) {
  word time[2] = {0, 0};
  SYS(__NR_clock_gettime, which, time);
  return time[0] * 1000 + time[1] / 1000000;
}
static long wait(long child) {
  int status = 0;
  SYS(__NR_wait4, child, &status, 0, 0);
  return status;
}
static void ignoreSignals(void) {
  word action[4] = {1 /* SIG_IGN */, 0, 0, 0};
  for (int signal = 1; signal < 32; signal++) if (signal != 17) SYS(__NR_rt_sigaction, signal, action, 0, 8);
}

static byte zeros[65536];
static char **environment;
// Options of the command line.
static word hostPort;
static const char *abstractName = "";
static const char *folder = "/tmp";
static const char *addresses[16];
static int addressCount;
static word megabytes = 64;
static word milliseconds = 500;

// ---- what only an administrator may do

static void priv(void) {
  int self = 0;
  byte rlimit[16];
  try("mknod-block", SYS(__NR_mknodat, AT_FDCWD, "/tmp/block", S_IFBLK | 0600, 0x800));
  try("mknod-character", SYS(__NR_mknodat, AT_FDCWD, "/out/memory", S_IFCHR | 0600, 0x101));
  try("chroot", SYS(__NR_chroot, "/"));
  try("setuid-root", SYS(__NR_setuid, 0));
  try("setgid-root", SYS(__NR_setgid, 0));
  try("setgroups-root", SYS(__NR_setgroups, 1, &self));
  long own = openAt("/tmp/own", O_CREAT | O_WRONLY);
  try("chown-root", SYS(__NR_fchown, own, 0, 0));
  close(own);
  SYS(__NR_unlinkat, AT_FDCWD, "/tmp/own", 0);
  try("mount", SYS(__NR_mount, "none", "/tmp", "tmpfs", 0, 0));
  try("mount-bind", SYS(__NR_mount, "/", "/tmp", 0, 0x1000, 0));
  try("remount-root", SYS(__NR_mount, 0, "/", 0, 0x20, 0));
  try("umount", SYS(__NR_umount2, "/in", 2));
  try("pivot-root", SYS(__NR_pivot_root, "/", "/"));
  try("open-tree", SYS(__NR_open_tree, AT_FDCWD, "/", 1));
  try("fsopen", SYS(__NR_fsopen, "tmpfs", 0));
  try("unshare-user", SYS(__NR_unshare, 0x10000000));
  try("unshare-mount", SYS(__NR_unshare, 0x00020000));
  try("unshare-network", SYS(__NR_unshare, 0x40000000));
  long child = SYS(__NR_clone, 0x10000000 | 17, 0, 0, 0, 0);
  if (child == 0) SYS(__NR_exit_group, 0);
  if (child > 0) wait(child);
  try("clone-user", child);
  word clone3[11] = {0x10000000, 0, 0, 0, 17};
  child = SYS(__NR_clone3, clone3, 64);
  if (child == 0) SYS(__NR_exit_group, 0);
  if (child > 0) wait(child);
  try("clone3", child);
  long names = openAt("/proc/self/ns/net", O_RDONLY);
  try("setns", SYS(__NR_setns, names, 0));
  close(names);
  try("ptrace", SYS(__NR_ptrace, 0, 0, 0, 0));
  word vector[2] = {(word)zeros, 8};
  try("process-vm-readv", SYS(__NR_process_vm_readv, SYS(__NR_getpid), vector, 1, vector, 1, 0));
  byte ring[120];
  memset(ring, 0, sizeof ring);
  try("io-uring", SYS(__NR_io_uring_setup, 1, ring));
  memset(ring, 0, sizeof ring);
  *(int *)ring = 2, *(int *)(ring + 4) = 4, *(int *)(ring + 8) = 4, *(int *)(ring + 12) = 1;
  try("bpf", SYS(__NR_bpf, 0, ring, 72));
  memset(ring, 0, sizeof ring);
  *(int *)ring = 1, *(int *)(ring + 4) = 112;
  try("perf-event-open", SYS(__NR_perf_event_open, ring, 0, -1, -1, 0));
  try("userfaultfd", SYS(__NR_userfaultfd, 1));
  try("keyctl", SYS(__NR_keyctl, 0, -3, 1));
  try("add-key", SYS(__NR_add_key, "user", "lilypad", "x", 1, -3));
  byte handle[136];
  memset(handle, 0, sizeof handle);
  *(int *)handle = 128;
  try("name-to-handle-at", SYS(__NR_name_to_handle_at, AT_FDCWD, "/in", handle, &self, 0));
  *(int *)handle = 8, *(int *)(handle + 4) = 1;
  try("open-by-handle-at", SYS(__NR_open_by_handle_at, AT_FDCWD, handle, 0));
  try("fanotify", SYS(__NR_fanotify_init, 0, 0));
  try("init-module", SYS(__NR_init_module, zeros, 0, ""));
  try("finit-module", SYS(__NR_finit_module, -1, "", 0));
  try("kexec-load", SYS(__NR_kexec_load, 0, 0, 0, 0));
  try("reboot", SYS(__NR_reboot, 0xfee1dead, 672274793, 0, 0));
  try("swapon", SYS(__NR_swapon, "/nowhere", 0));
  try("acct", SYS(__NR_acct, 0));
  try("syslog", SYS(__NR_syslog, 3, zeros, 16));
  try("quotactl", SYS(__NR_quotactl, 0x800001 << 8, "/dev/none", 0, zeros));
  word time[2] = {1, 0};
  try("clock-settime", SYS(__NR_clock_settime, 0, time));
  try("settimeofday", SYS(__NR_settimeofday, time, 0));
  try("sethostname", SYS(__NR_sethostname, "lilypad", 7));
  try("personality", SYS(__NR_personality, 0x0040000));
  try("realtime", SYS(__NR_sched_setscheduler, 0, 1, &(int){1}));
  try("priority", SYS(__NR_setpriority, 0, 0, -20));
  SYS(__NR_prlimit64, 0, 1, 0, rlimit);
  *(word *)rlimit = *(word *)(rlimit + 8) = ~0ul;
  try("raise-file-size", SYS(__NR_prlimit64, 0, 1, rlimit, 0));
  try("raise-core", SYS(__NR_prlimit64, 0, 4, rlimit, 0));
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
  try("capset", SYS(__NR_capset, &header, data));
  try("ambient", SYS(__NR_prctl, 47, 2, 21, 0, 0));
  // TIOCSTI: types for whoever reads the terminal, if standard input is one.
  try("push-terminal-input", SYS(__NR_ioctl, 0, 0x5412, "x"));
}

static void sockets(void) {
  static const struct { const char *name; int family, type, protocol; } kinds[] = {
    {"socket-raw", 2, 3, 1}, {"socket-ping", 2, 2, 1}, {"socket-packet", 17, 3, 0x300}, {"socket-netlink", 16, 3, 0},
    {"socket-vsock", 40, 1, 0}, {"socket-alg", 38, 5, 0}, {"socket-datagram", 2, 2, 0}, {"socket-inet6", 10, 1, 0},
    {"socket-xdp", 44, 3, 0}, {"socket-bluetooth", 31, 3, 1}, {"socket-tipc", 30, 5, 0},
  };
  for (word i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    long fd = SYS(__NR_socket, kinds[i].family, kinds[i].type, kinds[i].protocol);
    try(kinds[i].name, fd);
    close(fd);
  }
}

// ---- what this process is

static void status(void) {
  char text[8192];
  long fd = openAt("/proc/self/status", O_RDONLY), size = fd < 0 ? fd : SYS(__NR_read, fd, text, sizeof text - 1);
  close(fd);
  if (size < 0) return try("status", size);
  text[size] = 0;
  long capabilities = -EPERM, privileges = 0, filter = 0;
  for (char *line = text; *line; line++) {
    if (line != text && line[-1] != '\n') continue;
    if (starts(line, "Cap")) for (char *at = line + 7; *at && *at != '\n'; at++) if (*at > '0' && *at <= 'f') capabilities = 0;
    if (starts(line, "NoNewPrivs:\t1")) privileges = -EPERM;
    if (starts(line, "Seccomp:\t2")) filter = -EPERM;
  }
  try("capabilities", capabilities);
  try("new-privileges", privileges);
  try("unfiltered", filter);
  try("root-user", SYS(__NR_geteuid) == 0 || SYS(__NR_getuid) == 0 || SYS(__NR_getegid) == 0 ? 0 : -EPERM);
  int groups[64];
  long count = SYS(__NR_getgroups, 64, groups), root = -EPERM;
  for (long i = 0; i < count; i++) if (groups[i] == 0) root = 0;
  try("root-group", root);
  long leaked = -EBADF, which = -1;
  for (int i = 3; i < 1024; i++) if (SYS(__NR_fcntl, i, 1) >= 0) leaked = 0, which = i;
  print("inherited-descriptor", 0, leaked, which);
}

static long runAs(const char *path) {
  long child = fork();
  if (child == 0) {
    const char *arguments[] = {path, "who", 0};
    SYS(__NR_exit_group, -SYS(__NR_execve, path, arguments, environment));
  }
  long code = child < 0 ? -child : wait(child) >> 8 & 255;
  // 200: ran and is not root; 201: ran and is root.
  return code == 200 ? -EPERM : code == 201 ? 0 : -code;
}

static void suid(void) { try("setuid-program", runAs("/suid")); }

static void programs(void) {
  static const char *copies[] = {"/tmp/copy", "/out/copy"};
  static byte text[131072];
  long from = openAt("/attack", O_RDONLY), size = SYS(__NR_read, from, text, sizeof text);
  close(from);
  for (int i = 0; i < 2; i++) {
    long to = SYS(__NR_openat, AT_FDCWD, copies[i], O_CREAT | O_WRONLY | O_CLOEXEC, 06755);
    SYS(__NR_fchmod, to, 06755);
    long written = SYS(__NR_write, to, text, size);
    close(to);
    long ran = written != size ? written : runAs(copies[i]);
    // A program that runs there is enough, whoever it runs as.
    tryPath("run:", copies[i], ran == -EPERM ? 0 : ran);
    SYS(__NR_unlinkat, AT_FDCWD, copies[i], 0);
  }
}

static void processes(void) {
  static long children[8192];
  long count = 0, result = 0;
  while (count < 4096) {
    result = fork();
    if (result == 0) { sleep(5000); SYS(__NR_exit_group, 0); }
    if (result < 0) break;
    children[count++] = result;
  }
  for (long i = 0; i < count; i++) SYS(__NR_kill, children[i], 9);
  for (long i = 0; i < count; i++) wait(children[i]);
  print("fork", 0, result < 0 ? result : 0, count);
}

// Listing /proc: with a process table of our own there is nothing but us in it.
static void neighbours(void) {
  long table = openAt("/proc", O_RDONLY | O_DIRECTORY), count = 0, size;
  while ((size = SYS(__NR_getdents64, table, zeros, sizeof zeros)) > 0)
    for (long at = 0; at < size; at += *(unsigned short *)(zeros + at + 16))
      if (zeros[at + 19] >= '1' && zeros[at + 19] <= '9') count++;
  close(table);
  memset(zeros, 0, sizeof zeros);
  print("other-processes", 0, count > 3 ? 0 : -ESRCH, count);
}

// A first process that is not the program itself tells the provider how the run ended: nobody may speak for it.
static void firstProcess(void) {
  static const char *paths[] = {
    "/proc/1/mem", "/proc/1/environ", "/proc/1/fd/3", "/proc/1/fd/4", "/proc/1/fd/5", "/proc/1/fd/6", "/.lp/init",
    "/.lp/record", "/.lp/stdin", "/.lp/stdout", "/.lp/pwn",
  };
  int isFirst = SYS(__NR_getpid) == 1;
  for (word i = 0; i < sizeof paths / sizeof *paths; i++) {
    int isOwn = isFirst && starts(paths[i], "/proc");
    long fd = isOwn ? -ESRCH : openAt(paths[i], O_NONBLOCK | (same(paths[i], "/.lp/pwn") ? O_WRONLY | O_CREAT : O_RDWR));
    tryPath("first:", paths[i], fd);
    close(fd);
  }
  try("first-trace", isFirst ? -ESRCH : SYS(__NR_ptrace, 0x4206, 1, 0, 0));
  long process = SYS(434 /* pidfd_open */, 1, 0), stolen = process < 0 ? process : SYS(438 /* pidfd_getfd */, process, 1, 0);
  try("first-take-descriptor", isFirst && stolen >= 0 ? -ESRCH : stolen);
  close(stolen);
  close(process);
}

// ---- files

static void tryWrite(const char *path, int create) {
  long fd = openAt(path, O_WRONLY | O_NONBLOCK | create);
  tryPath("write:", path, fd);
  close(fd);
}
static void tryRead(const char *path) {
  long fd = openAt(path, O_RDONLY | O_NONBLOCK), size = fd;
  if (fd >= 0) size = SYS(__NR_read, fd, zeros, 64);
  close(fd);
  memset(zeros, 0, 64);
  // A masked file opens and is empty.
  tryPath("read:", path, size == 0 ? -ENODATA : size);
}
static void tryOpen(const char *path) {
  long fd = openAt(path, O_RDWR | O_NONBLOCK);
  tryPath("open:", path, fd);
  close(fd);
}
static void tryConnectUnix(const char *path, int isAbstract) {
  byte address[110];
  word size = length(path);
  memset(address, 0, sizeof address);
  address[0] = 1;
  memcpy(address + 2 + isAbstract, path, size < 107 ? size : 107);
  long fd = SYS(__NR_socket, 1, 1, 0);
  long result = fd < 0 ? fd : SYS(__NR_connect, fd, address, 2 + isAbstract + size + !isAbstract);
  if (isAbstract) try("connect-abstract", result);
  else tryPath("connect:", path, result);
  close(fd);
}

static void root(void) {
  static const char *paths[] = {
    "/pwn", "/attack", "/suid", "/etc/pwn", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv", "/dev/pwn",
    "/dev/shm/pwn", "/dev/mqueue/pwn", "/run/pwn", "/var/pwn", "/home/pwn", "/proc/pwn", "/sys/pwn", "/sys/fs/cgroup/pwn",
  };
  for (word i = 0; i < sizeof paths / sizeof *paths; i++) tryWrite(paths[i], O_CREAT);
  try("root-mkdir", SYS(__NR_mkdirat, AT_FDCWD, "/folder", 0700));
  try("root-unlink", SYS(__NR_unlinkat, AT_FDCWD, "/suid", 0));
  try("root-chmod", SYS(__NR_fchmodat, AT_FDCWD, "/attack", 0777));
}

static void inputs(void) {
  tryWrite("/in/data", 0);
  tryWrite("/in/pwn", O_CREAT);
  try("input-unlink", SYS(__NR_unlinkat, AT_FDCWD, "/in/data", 0));
  try("input-chmod", SYS(__NR_fchmodat, AT_FDCWD, "/in/data", 0666));
  try("input-link", SYS(__NR_linkat, AT_FDCWD, "/in/data", AT_FDCWD, "/out/link", 0));
  try("input-rename", SYS(__NR_renameat2, AT_FDCWD, "/in/data", AT_FDCWD, "/in/other", 0));
  SYS(__NR_unlinkat, AT_FDCWD, "/out/link", 0);
}

static void kernel(void) {
  static const char *writes[] = {
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/panic", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
    "/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/fs/file-max",
    "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run",
    "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/cgroup.procs", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/devices/devices.allow",
    "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/unified/cgroup.procs",
  };
  static const char *reads[] = {
    "/proc/kcore", "/proc/kmsg", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/1/root/etc/shadow",
    "/dev/mem", "/dev/kmsg", "/dev/port", "/sys/kernel/security/lockdown", "/sys/kernel/debug/fault_around_bytes",
    "/sys/firmware/acpi/tables/DSDT", "/sys/firmware/dmi/tables/DMI", "/etc/shadow", "/root/.ssh/id_rsa",
  };
  static const char *devices[] = {
    "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/xvda", "/dev/loop0", "/dev/loop-control", "/dev/mapper/control", "/dev/kvm",
    "/dev/fuse", "/dev/net/tun", "/dev/vhost-net", "/dev/vsock", "/dev/vhost-vsock", "/dev/uinput", "/dev/userfaultfd",
  };
  static const char *gpus[] = {
    "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-modeset", "/dev/dri/card0", "/dev/dri/renderD128", "/dev/kfd",
  };
  static const char *engines[] = {
    "/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
    "/run/crio/crio.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
  };
  for (word i = 0; i < sizeof writes / sizeof *writes; i++) tryWrite(writes[i], 0);
  for (word i = 0; i < sizeof reads / sizeof *reads; i++) tryRead(reads[i]);
  for (word i = 0; i < sizeof devices / sizeof *devices; i++) tryOpen(devices[i]);
  for (word i = 0; i < sizeof gpus / sizeof *gpus; i++) tryOpen(gpus[i]);
  for (word i = 0; i < sizeof engines / sizeof *engines; i++) tryConnectUnix(engines[i], 0);
  long fd = openAt("/proc/self/oom_score_adj", O_WRONLY);
  try("escape-oom-killer", fd < 0 ? fd : SYS(__NR_write, fd, "-1000", 5));
  close(fd);
}

static long fill(const char *into, word limit, word *written) {
  static byte page[65536];
  char path[64];
  long result = 0;
  *written = 0;
  for (word file = 0; *written < limit && result >= 0; file++) {
    *addNumber(add(add(path, into), "/fill-"), file) = 0;
    long fd = openAt(path, O_CREAT | O_WRONLY);
    if (fd < 0) return fd;
    for (word i = 0; i < 256 && *written < limit; i++) {
      result = SYS(__NR_write, fd, page, sizeof page);
      if (result < 0) break;
      *written += (word)result;
    }
    close(fd);
    // A file that may not grow more is not the end of the folder.
    if (result == -EFBIG) result = 0;
  }
  return result;
}
static long flood(const char *into, word limit, word *made) {
  char path[64];
  for (*made = 0; *made < limit; ++*made) {
    *addNumber(add(add(path, into), "/node-"), *made) = 0;
    long fd = openAt(path, O_CREAT | O_WRONLY);
    if (fd < 0) return fd;
    close(fd);
  }
  return 0;
}
static void empty(const char *from, const char *prefix, word count) {
  char path[64];
  for (word i = 0; i < count; i++) {
    *addNumber(add(add(path, from), prefix), i) = 0;
    SYS(__NR_unlinkat, AT_FDCWD, path, 0);
  }
}

static void scratch(void) {
  word count = 0;
  long result = fill("/tmp", megabytes << 20, &count);
  empty("/tmp", "/fill-", count / 65536 / 256 + 2);
  print("scratch-bytes", 0, result, (long)count);
  result = flood("/tmp", 100000, &count);
  empty("/tmp", "/node-", count);
  print("scratch-files", 0, result, (long)count);
}

// ---- network

static long connectTo(const char *text, word port) {
  byte address[16];
  memset(address, 0, sizeof address);
  address[0] = 2, address[2] = (byte)(port >> 8), address[3] = (byte)port;
  const char *at = text;
  for (int i = 0; i < 4; i++) {
    address[4 + i] = (byte)number(at);
    while (*at && *at++ != '.') continue;
  }
  long fd = SYS(__NR_socket, 2, 1 | 04000, 0), result = fd;
  if (fd >= 0) result = SYS(__NR_connect, fd, address, 16);
  if (result == -EINPROGRESS) {
    struct { int fd; short events, revents; } wanted = {(int)fd, 4, 0};
    word time[2] = {0, 300000000};
    int error = 0, size = 4;
    result = SYS(__NR_ppoll, &wanted, 1, time, 0, 0) > 0 && SYS(__NR_getsockopt, fd, 1, 4, &error, &size) == 0 ? -error : -ETIMEDOUT;
  }
  close(fd);
  return result;
}

static void network(void) {
  char text[4096];
  long fd = openAt("/proc/self/net/dev", O_RDONLY), size = fd < 0 ? fd : SYS(__NR_read, fd, text, sizeof text - 1), others = 0;
  close(fd);
  for (long i = 0; i < size; i++) if (text[i] == ':' && !(i >= 2 && text[i - 1] == 'o' && text[i - 2] == 'l')) others++;
  print("interfaces", 0, others > 0 ? 0 : -ENODEV, others);
  if (hostPort) try("connect-loopback", connectTo("127.0.0.1", hostPort));
  if (*abstractName) tryConnectUnix(abstractName, 1);
  try("connect-metadata", connectTo("169.254.169.254", 80));
  try("connect-gateway", connectTo("172.17.0.1", 80));
  try("connect-internet", connectTo("1.1.1.1", 443));
  for (int i = 0; i < addressCount; i++) {
    // Numbered: addresses of the machine are nobody's business.
    char index[4] = {(char)('a' + i), 0};
    print("connect-host:", index, connectTo(addresses[i], 22), -1);
  }
}

static void names(void) {
  for (char **at = environment; *at; at++) {
    char name[97];
    int i = 0;
    for (; (*at)[i] && (*at)[i] != '=' && i < 96; i++) name[i] = (*at)[i];
    name[i] = 0;
    print("environment:", name, 0, -1);
  }
}

// ---- groups that end a run, one each

static void memory(void) {
  word size = megabytes << 20;
  byte *at = (byte *)SYS(__NR_mmap, 0, size, 3, 0x22, -1, 0);
  if ((long)at < 0 && (long)at > -4096) return try("memory", (long)at);
  for (word i = 0; i < size; i += 4096) ((volatile byte *)at)[i] = 1;
  print("memory", 0, 0, (long)size);
}

static void scratchMemory(void) {
  word count = 0;
  long result = fill(folder, megabytes << 20, &count);
  print("scratch-memory", 0, result, (long)count);
}

static void logs(void) {
  memset(zeros, 'A', sizeof zeros);
  zeros[sizeof zeros - 1] = '\n';
  for (word i = 0; i < megabytes * 16; i++) if (SYS(__NR_write, 1 + (i & 1), zeros, sizeof zeros) < 0) break;
}

static void outputBytes(void) {
  word count = 0;
  long result = fill("/out", megabytes << 20, &count);
  print("output-bytes", 0, result, (long)count);
}

static void outputFiles(void) {
  word count = 0;
  long result = flood("/out", 100000, &count);
  print("output-files", 0, result, (long)count);
}

static void processor(void) {
  word end = clock(1) + milliseconds, usage[18], total = 0;
  long children[4];
  for (int i = 0; i < 4; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      while (clock(1) < end) continue;
      SYS(__NR_exit_group, 0);
    }
  }
  for (int i = 0; i < 4; i++) {
    int code = 0;
    memset(usage, 0, sizeof usage);
    SYS(__NR_wait4, children[i], &code, 0, usage);
    total += usage[0] * 1000 + usage[1] / 1000 + usage[2] * 1000 + usage[3] / 1000;
  }
  print("processor", 0, 0, (long)total);
}

static void hang(void) {
  ignoreSignals();
  if (fork() == 0) {
    SYS(__NR_setsid);
    if (fork() != 0) SYS(__NR_exit_group, 0);
    ignoreSignals();
  }
  for (;;) sleep(1000);
}

// ---- what a program may leave in /out

static void makeFile(const char *path, const char *text, int mode) {
  long fd = openAt(path, O_CREAT | O_WRONLY);
  SYS(__NR_write, fd, text, length(text));
  SYS(__NR_fchmod, fd, mode);
  close(fd);
}

static long output(const char *kind) {
  makeFile("/out/honest", "honest", 0600);
  if (same(kind, "link-file")) return SYS(__NR_symlinkat, "/etc/passwd", AT_FDCWD, "/out/x");
  if (same(kind, "link-root")) return SYS(__NR_symlinkat, "/", AT_FDCWD, "/out/x");
  if (same(kind, "link-inside")) return SYS(__NR_symlinkat, "honest", AT_FDCWD, "/out/x");
  if (same(kind, "pipe")) return SYS(__NR_mknodat, AT_FDCWD, "/out/x", S_IFIFO | 0666, 0);
  if (same(kind, "socket")) {
    byte address[110] = {1, 0, '/', 'o', 'u', 't', '/', 'x', 0};
    return SYS(__NR_bind, SYS(__NR_socket, 1, 1, 0), address, sizeof address);
  }
  if (same(kind, "hard-link")) return SYS(__NR_linkat, AT_FDCWD, "/out/honest", AT_FDCWD, "/out/x", 0);
  if (same(kind, "newline")) return openAt("/out/a\nb", O_CREAT | O_WRONLY);
  if (same(kind, "bad-utf8")) return openAt("/out/a\xff", O_CREAT | O_WRONLY);
  if (same(kind, "backslash")) return openAt("/out/..\\x", O_CREAT | O_WRONLY);
  if (same(kind, "deep")) {
    char path[640], *at = add(path, "/out");
    long result = 0;
    for (int i = 0; i < 300 && result >= 0; i++) {
      at = add(at, "/d");
      *at = 0;
      result = SYS(__NR_mkdirat, AT_FDCWD, path, 0700);
    }
    // The limit on entries may come first; 17 is deep enough.
    return at - path > 40 ? 0 : result;
  }
  if (same(kind, "unreadable")) return SYS(__NR_mkdirat, AT_FDCWD, "/out/x", 0);
  if (same(kind, "mode")) {
    makeFile("/out/x", "x", 06777);
    return 0;
  }
  if (same(kind, "sparse")) {
    long fd = openAt("/out/x", O_CREAT | O_WRONLY);
    long huge = SYS(__NR_ftruncate, fd, 1ul << 40);
    print("sparse-terabyte", 0, huge, -1);
    return huge < 0 ? SYS(__NR_ftruncate, fd, megabytes << 20) : huge;
  }
  if (same(kind, "race")) {
    // Goes on changing the tree while, and if it could after, the program ends.
    if (fork() == 0) {
      SYS(__NR_setsid);
      for (;;) {
        SYS(__NR_unlinkat, AT_FDCWD, "/out/honest", 0);
        SYS(__NR_symlinkat, "/etc/passwd", AT_FDCWD, "/out/honest");
        SYS(__NR_unlinkat, AT_FDCWD, "/out/honest", 0);
        makeFile("/out/honest", "honest", 0600);
      }
    }
    sleep(100);
    return 0;
  }
  return -EINVAL;
}

__attribute__((used, noreturn)) void begin(word *stack) {
  int count = (int)stack[0];
  char **arguments = (char **)(stack + 1);
  environment = arguments + count + 1;
  if (count == 2 && same(arguments[1], "who")) SYS(__NR_exit_group, SYS(__NR_geteuid) == 0 ? 201 : 200);
  static const struct { const char *name; void (*run)(void); } groups[] = {
    {"priv", priv}, {"sockets", sockets}, {"status", status}, {"suid", suid}, {"programs", programs}, {"fork", processes},
    {"neighbours", neighbours}, {"first", firstProcess}, {"root", root}, {"inputs", inputs}, {"kernel", kernel}, {"scratch", scratch},
    {"network", network}, {"environment", names}, {"memory", memory}, {"scratch-memory", scratchMemory}, {"log", logs},
    {"output-bytes", outputBytes}, {"output-files", outputFiles}, {"cpu", processor}, {"hang", hang},
  };
  // Too large a file, a broken pipe or a polite request to stop must not end a probe.
  ignoreSignals();
  for (int i = 1; i < count; i++) {
    char *argument = arguments[i];
    int known = 1;
    if (starts(argument, "port=")) hostPort = number(argument + 5);
    else if (starts(argument, "abstract=")) abstractName = argument + 9;
    else if (starts(argument, "folder=")) folder = argument + 7;
    else if (starts(argument, "megabytes=")) megabytes = number(argument + 10);
    else if (starts(argument, "milliseconds=")) milliseconds = number(argument + 13);
    else if (starts(argument, "address=")) { if (addressCount < 16) addresses[addressCount++] = argument + 8; }
    else if (starts(argument, "out=")) print("out:", argument + 4, output(argument + 4), -1);
    else {
      known = 0;
      for (word g = 0; g < sizeof groups / sizeof *groups; g++) if (same(argument, groups[g].name)) groups[g].run(), known = 1;
    }
    if (!known) SYS(__NR_exit_group, 2);
  }
  SYS(__NR_exit_group, 0);
  __builtin_unreachable();
}
