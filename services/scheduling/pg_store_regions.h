// The RegionStore on PostgreSQL: scheduling.region_versions, to which the service's role can only add.
#pragma once

#include "services/common/pg/pool.h"
#include "services/scheduling/region_store.h"

namespace allod::scheduling {

class PgRegionStore final : public RegionStore {
 public:
  explicit PgRegionStore(PgPool& pool) : pool_(pool) {}

  Result<std::vector<RegionVersion>> ListRegions() override;
  Result<RegionVersion> GetRegion(const std::string& id) override;
  Result<std::vector<RegionVersion>> ListVersions(const std::string& id, const PageRequest& page) override;
  Result<RegionVersion> AddVersion(const RegionVersion& version) override;

 private:
  PgPool& pool_;
};

}  // namespace allod::scheduling
