#include "services/billing/typesetting/confine.h"

#include "services/common/sandbox/landlock.h"
#include "services/common/sandbox/limits.h"
#include "services/common/sandbox/service_filter.h"

namespace allod::billing::typesetting {
namespace {

constexpr std::uint64_t kMemoryBytesMax = 768 << 20;
constexpr std::uint64_t kOutputBytesMax = 64 << 20;
constexpr std::uint64_t kCpuSecondsMax = 60;

}  // namespace

Result<Confinement> Confine(const std::filesystem::path& fonts) {
  sandbox::Layers layers;
  sandbox::LowerLimits({.open_files_max = 64,
                        .data_bytes_max = kMemoryBytesMax,
                        .file_bytes_max = kOutputBytesMax,
                        .cpu_seconds_max = kCpuSecondsMax},
                       layers);
  sandbox::DropCapabilities();
  sandbox::RestrictByLandlock(layers, {{.path = fonts}});
  if (!layers.Has(sandbox::kNoNewPrivs) || !layers.Has(sandbox::kRlimits) || !sandbox::HasNoCapability() ||
      !sandbox::ApplyToolFilter()) {
    return Fail(Code::kInternal, "NOT_CONFINED",
                "the kernel refused limits or the seccomp filter, and nothing is set without them; allow seccomp where "
                "billing runs");
  }
  return Confinement{.has_landlock = layers.Has(sandbox::kLandlock)};
}

}  // namespace allod::billing::typesetting
