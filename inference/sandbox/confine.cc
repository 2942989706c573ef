#include "inference/sandbox/confine.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "services/common/sandbox/landlock.h"
#include "services/common/sandbox/limits.h"

namespace allod::inference::sandbox {
namespace {

// What serving may take beyond what it has when it starts: requests, streams, thread stacks, rendered templates.
constexpr std::uint64_t kServingBytes = 512ULL << 20;
constexpr std::uint64_t kThreadsMax = 256;

std::uint64_t DataBytes(int statm) {
  char text[256] = {};
  if (statm < 0 || pread(statm, text, sizeof(text) - 1, 0) <= 0) return 0;
  unsigned long long size = 0, resident = 0, shared = 0, code = 0, library = 0, data = 0;
  if (std::sscanf(text, "%llu %llu %llu %llu %llu %llu", &size, &resident, &shared, &code, &library, &data) != 6) {
    return 0;
  }
  return data * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void ConfineBeforeThreads(Layers& layers) { RestrictByLandlock(layers); }

void ConfineResources(int statm, Layers& layers) {
  Limits limits;
  if (const std::uint64_t data = DataBytes(statm); data > 0) limits.data_bytes_max = data + kServingBytes;
  if (layers.Has(kOwnUid)) limits.threads_max = kThreadsMax;
  LowerLimits(limits, layers);
}

bool ConfineSystemCalls(const SyscallFilter* prepared, Layers& layers) {
  Result<SyscallFilter> own = Internal("unused");
  if (prepared == nullptr) {
    own = SyscallFilter::ForServing(getpid());
    if (own) prepared = &*own;
  }
  if (prepared == nullptr || !prepared->Apply()) return false;
  layers.Add(kSeccomp);
  return true;
}

}  // namespace allod::inference::sandbox
