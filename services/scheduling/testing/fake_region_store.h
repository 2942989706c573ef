// The RegionStore in memory, for tests: behaves as PgRegionStore does, held to it by the contract suite. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/scheduling/region_store.h"

namespace allod::scheduling {

class FakeRegionStore final : public RegionStore {
 public:
  explicit FakeRegionStore(const Clock& clock) : clock_(clock) {}

  Result<std::vector<RegionVersion>> ListRegions() override {
    const std::lock_guard lock(mutex_);
    std::vector<RegionVersion> out;
    for (const auto& [id, versions] : regions_) out.push_back(versions.back());
    return out;
  }
  Result<RegionVersion> GetRegion(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = regions_.find(id);
    if (found == regions_.end()) return NotFound("regions/" + id + " does not exist");
    return found->second.back();
  }
  Result<std::vector<RegionVersion>> ListVersions(const std::string& id, const PageRequest& page) override {
    const std::lock_guard lock(mutex_);
    std::vector<RegionVersion> out;
    const auto found = regions_.find(id);
    if (found == regions_.end()) return out;
    const std::int64_t after = page.after.empty() ? 0 : std::stoll(page.after);
    for (const RegionVersion& version : found->second) {
      if (version.version > after && std::ssize(out) <= page.size) out.push_back(version);
    }
    return out;
  }
  Result<RegionVersion> AddVersion(const RegionVersion& version) override {
    const std::lock_guard lock(mutex_);
    if (version.version == 1 && !regions_.contains(version.id) && regions_.size() >= kRegionsMax) {
      return std::unexpected(TooManyRegions());
    }
    const auto found = regions_.find(version.id);
    const std::int64_t newest = found == regions_.end() ? 0 : found->second.back().version;
    if (version.version == newest + 1) {
      RegionVersion& added = regions_[version.id].emplace_back(version);
      added.create_time = clock_.Now();
      return added;
    }
    if (version.version < 1 || version.version > newest) return std::unexpected(ChangedMeanwhile(version));
    const RegionVersion& stored = found->second[static_cast<std::size_t>(version.version - 1)];
    if (!SameContent(stored, version)) return std::unexpected(ChangedMeanwhile(version));
    return stored;
  }

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::vector<RegionVersion>> regions_;
};

}  // namespace allod::scheduling
