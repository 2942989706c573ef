#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <sys/eventfd.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/quota.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "tests/bench/pool/hostile_actions.h"

namespace allod::bench {

std::vector<HostileAction> KernelActions() {
  using S = const Surroundings&;
  return {
      {"keyring_add", [](S) { return syscall(SYS_add_key, "user", "hostile", "x", 1, -4) >= 0; }},
      {"keyring_read",
       [](S) { return syscall(SYS_keyctl, 0, -4, 0) >= 0 || syscall(SYS_request_key, "user", "x", nullptr, 0) >= 0; }},
      {"bpf",
       [](S) {
         bpf_attr attributes;
         std::memset(&attributes, 0, sizeof(attributes));
         attributes.map_type = BPF_MAP_TYPE_ARRAY;
         attributes.key_size = attributes.value_size = 4;
         attributes.max_entries = 1;
         return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)) >= 0;
       }},
      {"perf_events",
       [](S) {
         perf_event_attr attributes{};
         attributes.type = PERF_TYPE_SOFTWARE;
         attributes.size = sizeof(attributes);
         return syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) >= 0;
       }},
      {"userfaultfd", [](S) { return syscall(SYS_userfaultfd, 1) >= 0; }},
      {"io_uring",
       [](S) {
         io_uring_params parameters{};
         return syscall(SYS_io_uring_setup, 4, &parameters) >= 0;
       }},
      {"asynchronous_io",
       [](S) {
         unsigned long context = 0;
         return syscall(SYS_io_setup, 1, &context) == 0;
       }},
      {"load_kernel",
       [](S) {
         return syscall(SYS_kexec_load, 0, 0, nullptr, 0) == 0 ||
                syscall(SYS_kexec_file_load, -1, -1, 0, nullptr, 0) == 0;
       }},
      {"load_module",
       [](S) { return syscall(SYS_init_module, "x", 1, "") == 0 || syscall(SYS_finit_module, 0, "", 0) == 0; }},
      {"reboot",
       [](S) {
         return syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, nullptr) == 0;
       }},
      {"set_time",
       [](S) {
         timeval now{};
         gettimeofday(&now, nullptr);
         timespec same{now.tv_sec, 0};
         return settimeofday(&now, nullptr) == 0 || clock_settime(CLOCK_REALTIME, &same) == 0;
       }},
      {"adjust_clock",
       [](S) {
         timex adjust{};
         return adjtimex(&adjust) >= 0;
       }},
      {"set_host_name", [](S) { return sethostname("hostile", 7) == 0 || setdomainname("hostile", 7) == 0; }},
      {"read_kernel_log",
       [](S) { return syscall(SYS_syslog, 3, nullptr, 0) >= 0 || syscall(SYS_syslog, 10, nullptr, 0) >= 0; }},
      {"quotas", [](S) { return quotactl(QCMD(Q_SYNC, USRQUOTA), nullptr, 0, nullptr) == 0; }},
      {"swap", [](S) { return syscall(SYS_swapon, "/x", 0) == 0 || syscall(SYS_swapoff, "/x") == 0; }},
      {"process_accounting", [](S) { return syscall(SYS_acct, nullptr) == 0; }},
      {"ports", [](S) { return iopl(3) == 0 || ioperm(0x80, 1, 1) == 0; }},
      {"segment_table", [](S) { return syscall(SYS_modify_ldt, 0, nullptr, 0) >= 0; }},
      {"shared_memory_of_the_host",
       [](S) {
         return shmget(0x416c6c6f, 4096, 0) >= 0 || shmget(0x416c6c6f, 4096, IPC_CREAT | 0600) >= 0 ||
                shmat(0, nullptr, SHM_RDONLY) != reinterpret_cast<void*>(-1);
       }},
      {"message_queue_of_the_host", [](S) { return msgget(0x416c6c6f, IPC_CREAT | 0600) >= 0; }},
      {"semaphores_of_the_host", [](S) { return semget(0x416c6c6f, 1, IPC_CREAT | 0600) >= 0; }},
      {"posix_message_queue", [](S) { return syscall(SYS_mq_open, "hostile", 0x42, 0600, nullptr) >= 0; }},
      {"type_into_a_terminal",
       [](S) {
         for (int fd = 0; fd < 64; ++fd) {
           if (ioctl(fd, TIOCSTI, "x") == 0) return true;
         }
         return false;
       }},
      {"steal_the_terminal", [](S) { return ioctl(0, TIOCSCTTY, 1) == 0 || syscall(SYS_vhangup) == 0; }},
      {"silence_the_gate",
       [](S s) {
         char bytes[4096];
         return read(s.gate_fd, bytes, sizeof(bytes)) > 0;
       }},
      {"shared_anonymous_memory",
       [](S) { return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }},
      {"unmapped_page_zero",
       [](S) {
         return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
                MAP_FAILED;
       }},
      {"many_descriptors",
       [](S) {
         int opened[2048];
         int count = 0;
         while (count < 2048 && (opened[count] = eventfd(0, 0)) >= 0) ++count;
         for (int i = 0; i < count; ++i) close(opened[i]);
         return count > 1024;
       }},
  };
}

}  // namespace allod::bench
