// Where versions of regions are kept. They are added and never changed. Each method is one whole transaction; all are
// thread-safe, may block, and may fail with UNAVAILABLE. Implemented by PgRegionStore and, for tests, FakeRegionStore.
#pragma once

#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/scheduling/region.h"

namespace allod::scheduling {

class RegionStore {
 public:
  virtual ~RegionStore() = default;

  // The newest version of each; by id.
  virtual Result<std::vector<RegionVersion>> ListRegions() = 0;
  // NOT_FOUND.
  virtual Result<RegionVersion> GetRegion(const std::string& id) = 0;
  // Oldest first; one more than the page's size if there is. None of a region that does not exist.
  virtual Result<std::vector<RegionVersion>> ListVersions(const std::string& id, const PageRequest& page) = 0;
  // `version.version` is one more than that of the newest, 1 of a new region; the time is the database's. ABORTED /
  // ETAG_MISMATCH if somebody else came first; RESOURCE_EXHAUSTED / TOO_MANY_REGIONS.
  virtual Result<RegionVersion> AddVersion(const RegionVersion& version) = 0;
};

inline std::string VersionKey(const RegionVersion& version) { return std::to_string(version.version); }
// ABORTED / ETAG_MISMATCH.
Error ChangedMeanwhile(const RegionVersion& version);
// RESOURCE_EXHAUSTED / TOO_MANY_REGIONS.
Error TooManyRegions();

// What is known, and of what a configuration names the regions that are not known yet, which are made first. What the
// configuration says of a region that is known does not change it: that is logged.
Result<std::vector<RegionVersion>> ReadRegions(RegionStore& store, const std::vector<scheduler::Region>& configured);

}  // namespace allod::scheduling
