#include "inference/compress/confine.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

namespace allod::inference::compress {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

std::unexpected<Error> Failed(const char* layer) {
  return Fail(Code::kInternal, "CONFINE_FAILED", fmt::format("{}: {}", layer, std::strerror(errno)));
}

bool Limit(__rlimit_resource resource, std::uint64_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return false;
  const rlim_t wanted = std::min<rlim_t>(value, limit.rlim_max);
  limit = {wanted, wanted};
  return setrlimit(resource, &limit) == 0;
}

}  // namespace

ConfineLimits LimitsForJob(std::uint64_t input_bytes) {
  // 2 bits a weight to 8 is the largest growth there is; thread stacks and allocator arenas reserve space they never
  // touch.
  return {.address_space_bytes = 16 * kGiB + 12 * input_bytes, .file_bytes = kGiB / 4 + 5 * input_bytes};
}

Status ConfineProcess(const ConfineLimits& limits) {
  if (limits.die_with_parent) {
    const pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return Failed("PR_SET_PDEATHSIG");
    // The parent may have died before the call took effect; then there is nobody to work for.
    if (getppid() != parent) raise(SIGKILL);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("PR_SET_NO_NEW_PRIVS");
  if (!Limit(RLIMIT_CORE, 0)) return Failed("RLIMIT_CORE");
  if (!Limit(RLIMIT_NOFILE, 128)) return Failed("RLIMIT_NOFILE");
  if (!Limit(RLIMIT_FSIZE, limits.file_bytes)) return Failed("RLIMIT_FSIZE");
  if (!Limit(RLIMIT_AS, limits.address_space_bytes)) return Failed("RLIMIT_AS");
  return {};
}

}  // namespace allod::inference::compress
