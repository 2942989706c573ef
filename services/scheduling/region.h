// Regions: places with one jurisdiction, in versions. Pure.
#pragma once

#include <string>
#include <vector>

#include "scheduler/model.h"
#include "services/common/clock.h"
#include "services/common/result.h"
#include "services/scheduling/domain.h"
#include "services/scheduling/drivers/driver.h"

namespace allod::scheduling {

inline constexpr int kRegionsMax = 1000;

// One version of a region; the newest is what it is.
struct RegionVersion {
  std::string id;
  std::string jurisdiction;  // ISO 3166-1 alpha-2, lower case
  std::string display_name;  // at most 128 characters; may be empty
  std::int64_t version = 1;
  std::string maker;     // kOperator or kConfiguration
  std::string trace_id;  // of the call that made it; empty: none
  Time create_time;      // the database's

  static constexpr char kOperator[] = "operator";
  static constexpr char kConfiguration[] = "configuration";

  std::string name() const { return "regions/" + id; }
  bool operator==(const RegionVersion&) const = default;
};

// INVALID_ARGUMENT / INVALID_ID, UNKNOWN_COUNTRY, INVALID_TEXT.
Status CheckRegion(const RegionVersion& region);
// Whether it says the same; whoever made it, whenever.
bool SameContent(const RegionVersion& a, const RegionVersion& b);
std::string EtagOf(const RegionVersion& region);
// INVALID_ARGUMENT / ETAG_REQUIRED; ABORTED / ETAG_MISMATCH.
Status CheckEtag(const RegionVersion& standing, const std::string& etag);

// As decisions take them.
std::vector<scheduler::Region> PlacesOf(const std::vector<RegionVersion>& regions);
// As a configuration makes them.
std::vector<RegionVersion> FirstVersions(const std::vector<scheduler::Region>& places);

// Instances that run on nodes where they may be with the regions `before` and may not with those `after`; by name, each
// once. `terms` are those of all tenants.
std::vector<std::string> StoppedBy(const std::vector<scheduler::Region>& before,
                                   const std::vector<scheduler::Region>& after,
                                   const std::vector<drivers::WorkerView>& workers,
                                   const std::vector<scheduler::Node>& nodes, const std::vector<TenantTerms>& terms);

}  // namespace allod::scheduling
