#include "services/common/sandbox/limits.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace allod::sandbox {
namespace {

constexpr int kLastCapability = 63;

// What the sanitizers reserve for their own books is more than any limit of address space that means something.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kAddressSpaceHasALimit = false;
#else
constexpr bool kAddressSpaceHasALimit = true;
#endif

// The leak check at the end of a program stops and traces its threads, which a confined process may not.
#if defined(__SANITIZE_ADDRESS__)
std::atomic<bool> leaks_are_unchecked{false};
#endif
void LeaveLeaksUnchecked() {
#if defined(__SANITIZE_ADDRESS__)
  leaks_are_unchecked = true;
#endif
}

bool Lower(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0;
}

}  // namespace

void LowerLimits(const Limits& limits, Layers& layers) {
  bool all = Lower(RLIMIT_CORE, 0) && Lower(RLIMIT_NOFILE, limits.open_files_max) &&
             Lower(RLIMIT_FSIZE, limits.file_bytes_max) && Lower(RLIMIT_MEMLOCK, 0) && Lower(RLIMIT_MSGQUEUE, 0) &&
             Lower(RLIMIT_RTPRIO, 0);
  if (limits.data_bytes_max > 0) all = Lower(RLIMIT_DATA, limits.data_bytes_max) && all;
  if (limits.address_space_bytes_max > 0 && kAddressSpaceHasALimit)
    all = Lower(RLIMIT_AS, limits.address_space_bytes_max) && all;
  if (limits.threads_max > 0) all = Lower(RLIMIT_NPROC, limits.threads_max) && all;
  if (limits.cpu_seconds_max > 0) all = Lower(RLIMIT_CPU, limits.cpu_seconds_max) && all;
  if (all) layers.Add(kRlimits);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
    layers.Add(kNoNewPrivs);
  }
  LeaveLeaksUnchecked();
  if (prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0) layers.Add(kNotDumpable);
}

bool DropCapabilities() {
  for (int capability = 0; capability <= kLastCapability; ++capability) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

bool HasNoCapability() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct has[2] = {};
  if (syscall(SYS_capget, &header, has) != 0) return false;
  return (has[0].effective | has[0].permitted | has[1].effective | has[1].permitted) == 0;
}

}  // namespace allod::sandbox

#if defined(__SANITIZE_ADDRESS__)
extern "C" int __lsan_is_turned_off() { return allod::sandbox::leaks_are_unchecked ? 1 : 0; }
#endif
