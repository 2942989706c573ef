#include "inference/sandbox/limits.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>

namespace allod::inference::sandbox {
namespace {

bool Lower(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0;
}

}  // namespace

void LowerLimits(const Limits& limits, Layers& layers) {
  bool all = Lower(RLIMIT_CORE, 0) && Lower(RLIMIT_NOFILE, limits.open_files_max) && Lower(RLIMIT_FSIZE, 0) &&
             Lower(RLIMIT_MEMLOCK, 0) && Lower(RLIMIT_MSGQUEUE, 0) && Lower(RLIMIT_RTPRIO, 0);
  if (limits.data_bytes_max > 0) all = Lower(RLIMIT_DATA, limits.data_bytes_max) && all;
  if (limits.threads_max > 0) all = Lower(RLIMIT_NPROC, limits.threads_max) && all;
  if (all) layers.Add(kRlimits);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
    layers.Add(kNoNewPrivs);
  }
  if (prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0) layers.Add(kNotDumpable);
}

}  // namespace allod::inference::sandbox
