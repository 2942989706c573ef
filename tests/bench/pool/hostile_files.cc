#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/bench/pool/hostile_actions.h"

namespace allod::bench {
namespace {

constexpr int kDescriptorsMax = 1024;

bool CanOpen(const std::string& path, int flags = O_RDONLY) { return open(path.c_str(), flags | O_CLOEXEC) >= 0; }
bool Exists(const std::string& path) {
  struct stat info {};
  return fstatat(AT_FDCWD, path.c_str(), &info, 0) == 0;
}

// Whether `attempt` succeeds with any descriptor that it has, whatever that is.
template <typename Attempt>
bool WithAnyDescriptor(Attempt attempt) {
  for (int fd = 0; fd < kDescriptorsMax; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 && attempt(fd)) return true;
  }
  return false;
}

}  // namespace

std::vector<HostileAction> FileActions() {
  using S = const Surroundings&;
  return {
      {"open_passwd", [](S) { return CanOpen("/etc/passwd"); }},
      {"open_root", [](S) { return CanOpen("/", O_DIRECTORY); }},
      {"open_parent_of_root", [](S) { return CanOpen("/../../../../etc/passwd"); }},
      {"open_model", [](S s) { return CanOpen(s.model); }},
      {"open_sibling_ring", [](S s) { return CanOpen(s.sibling_ring, O_RDWR); }},
      {"open_own_memory", [](S) { return CanOpen("/proc/self/mem", O_RDWR); }},
      {"open_proc",
       [](S s) {
         bool any = CanOpen("/proc", O_DIRECTORY) || CanOpen("/proc/1/environ");
         for (const pid_t pid : s.others) any = any || CanOpen("/proc/" + std::to_string(pid) + "/mem");
         return any;
       }},
      {"open_sys", [](S) { return CanOpen("/sys/kernel/notes") || CanOpen("/sys/fs/cgroup", O_DIRECTORY); }},
      {"open_device",
       [](S) { return CanOpen("/dev/mem") || CanOpen("/dev/kmsg") || CanOpen("/dev/shm", O_DIRECTORY); }},
      {"openat2",
       [](S) {
         open_how how{};
         return syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)) >= 0;
       }},
      {"stat_files", [](S s) { return Exists("/etc/passwd") || Exists(s.model) || Exists(s.sibling_socket); }},
      {"walk_by_descriptors",
       [](S) {
         return WithAnyDescriptor([](int fd) {
           return openat(fd, ".", O_RDONLY) >= 0 || openat(fd, "..", O_RDONLY) >= 0 ||
                  openat(fd, "self/mem", O_RDWR) >= 0;
         });
       }},
      {"stat_by_descriptors",
       [](S) {
         return WithAnyDescriptor([](int fd) {
           struct stat info {};
           return fstatat(fd, "..", &info, 0) == 0;
         });
       }},
      {"list_directories",
       [](S) {
         return WithAnyDescriptor([](int fd) {
           char buffer[1024];
           return syscall(SYS_getdents64, fd, buffer, sizeof(buffer)) > 0;
         });
       }},
      // Its page and its ring are its own; anything else of a file that could be written would be somebody's.
      {"map_a_file_for_writing",
       [](S s) {
         return WithAnyDescriptor([&s](int fd) {
           if (fd == s.page_fd || fd == s.ring_fd) return false;
           return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
         });
       }},
      {"write_into_files",
       [](S s) {
         std::signal(SIGXFSZ, SIG_IGN);
         return WithAnyDescriptor([&s](int fd) {
           struct stat info {};
           if (fd == s.page_fd || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return false;
           return pwrite(fd, "x", 1, 1 << 20) == 1;
         });
       }},
      {"truncate_own_ring", [](S s) { return ftruncate(s.ring_fd, 0) == 0; }},
      {"punch_a_hole_into_own_ring",
       [](S s) { return fallocate(s.ring_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0; }},
      {"shrink_own_page", [](S s) { return ftruncate(s.page_fd, 0) == 0; }},
      {"truncate_model", [](S s) { return truncate(s.model.c_str(), 0) == 0; }},
      {"create_file", [](S) { return open("/hostile", O_CREAT | O_WRONLY, 0600) >= 0; }},
      {"make_directory", [](S) { return mkdir("/hostile", 0700) == 0; }},
      {"make_link", [](S) { return symlink("/etc", "/hostile") == 0 || link("/etc/passwd", "/hostile") == 0; }},
      {"make_device", [](S) { return mknod("/hostile", S_IFCHR | 0600, 0x0103) == 0; }},
      {"rename_and_remove", [](S s) { return rename(s.model.c_str(), "/x") == 0 || unlink(s.model.c_str()) == 0; }},
      {"change_modes", [](S s) { return chmod(s.model.c_str(), 0666) == 0 || fchmod(s.ring_fd, 0666) == 0; }},
      {"change_owners", [](S s) { return chown(s.model.c_str(), 0, 0) == 0 || fchown(s.ring_fd, 0, 0) == 0; }},
      {"change_directory", [](S) { return chdir("/") == 0; }},
      {"chroot", [](S) { return chroot("/") == 0; }},
      {"pivot_root", [](S) { return syscall(SYS_pivot_root, "/", "/") == 0; }},
      {"mount",
       [](S) { return mount("proc", "/", "proc", 0, nullptr) == 0 || mount("t", "/", "tmpfs", 0, nullptr) == 0; }},
      {"mount_by_descriptor",
       [](S) { return syscall(SYS_open_tree, AT_FDCWD, "/", 0) >= 0 || syscall(SYS_fsopen, "tmpfs", 0) >= 0; }},
      {"unmount", [](S) { return umount2("/", MNT_DETACH) == 0; }},
      {"file_handles",
       [](S) {
         alignas(file_handle) char space[sizeof(file_handle) + 128] = {};
         auto* handle = reinterpret_cast<file_handle*>(space);
         handle->handle_bytes = 128;
         int mount_id = 0;
         return name_to_handle_at(AT_FDCWD, "/", handle, &mount_id, 0) == 0 ||
                WithAnyDescriptor([&](int fd) { return open_by_handle_at(fd, handle, O_RDONLY) >= 0; });
       }},
      {"watch_files", [](S) { return inotify_init1(0) >= 0 || fanotify_init(FAN_CLASS_NOTIF, O_RDONLY) >= 0; }},
      {"memory_file", [](S) { return memfd_create("hostile", 0) >= 0; }},
      {"secret_memory", [](S) { return syscall(SYS_memfd_secret, 0) >= 0; }},
      {"copy_between_descriptors",
       [](S s) {
         off_t at = 0;
         return sendfile(s.gate_fd, s.ring_fd, &at, 16) > 0;
       }},
  };
}

}  // namespace allod::bench
