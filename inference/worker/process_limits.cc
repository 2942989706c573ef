#include "inference/worker/process_limits.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace allod::inference::worker {
namespace {

// The model, the socket, and a connection for each gateway.
constexpr rlim_t kOpenFilesMax = 256;

Status Check(const char* layer, int result) {
  if (result == 0) return {};
  return Fail(Code::kInternal, "CONFINE_FAILED", fmt::format("{}: {}", layer, std::strerror(errno)));
}

int Lower(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return -1;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit);
}

bool IsAtMost(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 && limit.rlim_max <= value;
}

}  // namespace

Status LimitProcess(bool die_with_parent) {
  if (die_with_parent) {
    const pid_t parent = getppid();
    ALLOD_CHECK_OK(Check("PR_SET_PDEATHSIG", prctl(PR_SET_PDEATHSIG, SIGKILL)));
    // The parent may have died before the call took effect; then there is nobody to work for.
    if (getppid() != parent) raise(SIGKILL);
  }
  ALLOD_CHECK_OK(Check("PR_SET_NO_NEW_PRIVS", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
  ALLOD_CHECK_OK(Check("PR_SET_DUMPABLE", prctl(PR_SET_DUMPABLE, 0)));
  ALLOD_CHECK_OK(Check("RLIMIT_CORE", Lower(RLIMIT_CORE, 0)));
  return Check("RLIMIT_NOFILE", Lower(RLIMIT_NOFILE, kOpenFilesMax));
}

std::vector<std::string> LayersInForce() {
  std::vector<std::string> layers;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) layers.emplace_back("no_new_privs");
  if (prctl(PR_GET_DUMPABLE) == 0) layers.emplace_back("not_dumpable");
  if (IsAtMost(RLIMIT_CORE, 0) && IsAtMost(RLIMIT_NOFILE, kOpenFilesMax)) layers.emplace_back("rlimits");
  int death_signal = 0;
  if (prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL) layers.emplace_back("die_with_parent");
  return layers;
}

}  // namespace allod::inference::worker
