#include "services/scheduling/region_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/log.h"

namespace allod::scheduling {

Error ChangedMeanwhile(const RegionVersion& version) {
  return {Code::kAborted, "ETAG_MISMATCH",
          fmt::format("{} was changed since it was read: read it again", version.name())};
}

Error TooManyRegions() {
  return {Code::kResourceExhausted, "TOO_MANY_REGIONS",
          fmt::format("an installation has at most {} regions", kRegionsMax)};
}

Result<std::vector<RegionVersion>> ReadRegions(RegionStore& store, const std::vector<scheduler::Region>& configured) {
  ALLOD_TRY(std::vector<RegionVersion> regions, store.ListRegions());
  for (const RegionVersion& wanted : FirstVersions(configured)) {
    const auto standing = std::ranges::find(regions, wanted.id, &RegionVersion::id);
    if (standing == regions.end()) {
      ALLOD_TRY(RegionVersion made, store.AddVersion(wanted));
      Log(LogLevel::kInfo, "region made", {{"region", made.id}, {"jurisdiction", made.jurisdiction}});
      regions.push_back(std::move(made));
    } else if (standing->jurisdiction != wanted.jurisdiction) {
      Log(LogLevel::kWarning,
          "the configuration says another jurisdiction of a region than is known; what is known holds: change it with "
          "`allod apply`",
          {{"region", wanted.id}, {"known", standing->jurisdiction}, {"configured", wanted.jurisdiction}});
    }
  }
  std::ranges::sort(regions, {}, &RegionVersion::id);
  return regions;
}

}  // namespace allod::scheduling
