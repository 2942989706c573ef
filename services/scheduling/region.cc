#include "services/scheduling/region.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "services/common/country_code.h"
#include "services/common/ids.h"
#include "services/common/text_check.h"
#include "services/scheduling/permit.h"

namespace allod::scheduling {
namespace {

constexpr std::size_t kDisplayNameCharsMax = 128;

}  // namespace

Status CheckRegion(const RegionVersion& region) {
  ALLOD_CHECK_OK(CheckId("region_id", region.id));
  ALLOD_CHECK_OK(CheckCountryCode("region.jurisdiction", region.jurisdiction));
  return CheckText("region.display_name", region.display_name, 0, kDisplayNameCharsMax);
}

bool SameContent(const RegionVersion& a, const RegionVersion& b) {
  return a.id == b.id && a.jurisdiction == b.jurisdiction && a.display_name == b.display_name;
}

std::string EtagOf(const RegionVersion& region) { return fmt::format("{}-{}", region.id, region.version); }

Status CheckEtag(const RegionVersion& standing, const std::string& etag) {
  if (etag.empty()) {
    return InvalidArgument("ETAG_REQUIRED", "region.etag is required: send back the one that was read");
  }
  if (etag == EtagOf(standing)) return {};
  return Fail(Code::kAborted, "ETAG_MISMATCH",
              fmt::format("{} was changed since it was read (its etag is {} now): read it again", standing.name(),
                          EtagOf(standing)));
}

std::vector<scheduler::Region> PlacesOf(const std::vector<RegionVersion>& regions) {
  std::vector<scheduler::Region> out;
  out.reserve(regions.size());
  for (const RegionVersion& region : regions) out.push_back({region.id, region.jurisdiction});
  return out;
}

std::vector<RegionVersion> FirstVersions(const std::vector<scheduler::Region>& places) {
  std::vector<RegionVersion> out;
  for (const scheduler::Region& place : places) {
    RegionVersion region;
    region.id = place.id;
    region.jurisdiction = place.jurisdiction;
    region.maker = RegionVersion::kConfiguration;
    out.push_back(std::move(region));
  }
  return out;
}

std::vector<std::string> StoppedBy(const std::vector<scheduler::Region>& before,
                                   const std::vector<scheduler::Region>& after,
                                   const std::vector<drivers::WorkerView>& workers,
                                   const std::vector<scheduler::Node>& nodes, const std::vector<TenantTerms>& terms) {
  std::map<std::string, const scheduler::Node*> node_of;
  for (const scheduler::Node& node : nodes) node_of[node.id] = &node;
  std::map<TenantId, const TenantTerms*> terms_of;
  for (const TenantTerms& one : terms) terms_of[one.tenant] = &one;
  std::set<std::string> out;
  for (const drivers::WorkerView& worker : workers) {
    const auto node = node_of.find(worker.node);
    if (!worker.desired || node == node_of.end()) continue;
    const auto known = terms_of.find(worker.desired->tenant);
    const TenantTerms* const of_tenant = known == terms_of.end() ? nullptr : known->second;
    const auto may_run = [&](const std::vector<scheduler::Region>& regions) {
      return !Permit(regions, of_tenant).RefusalOn(*node->second);
    };
    if (may_run(before) && !may_run(after)) out.insert(worker.desired->instance);
  }
  return {out.begin(), out.end()};
}

}  // namespace allod::scheduling
