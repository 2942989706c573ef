#include "services/scheduling/convert_region.h"

#include <fmt/format.h>

#include "services/common/call_scope.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"

namespace allod::scheduling {
namespace {

Result<RegionVersion> ContentOf(const std::string& id, const v1::Region& region) {
  RegionVersion out;
  out.id = id;
  out.jurisdiction = region.jurisdiction();
  out.display_name = region.display_name();
  out.maker = RegionVersion::kOperator;
  if (const Trace* const trace = CurrentTrace()) out.trace_id = trace->trace_id;
  ALLOD_CHECK_OK(CheckRegion(out));
  return out;
}

}  // namespace

v1::Region ToProto(const RegionVersion& region) {
  v1::Region out;
  out.set_name(region.name());
  out.set_jurisdiction(region.jurisdiction);
  out.set_display_name(region.display_name);
  out.set_version(region.version);
  *out.mutable_create_time() = ToTimestamp(region.create_time);
  out.set_etag(EtagOf(region));
  return out;
}

v1::RegionVersion VersionToProto(const RegionVersion& version) {
  v1::RegionVersion out;
  out.set_name(fmt::format("{}/versions/{}", version.name(), version.version));
  out.set_jurisdiction(version.jurisdiction);
  out.set_display_name(version.display_name);
  *out.mutable_create_time() = ToTimestamp(version.create_time);
  out.set_maker(version.maker);
  out.set_trace_id(version.trace_id);
  return out;
}

Result<RegionVersion> RegionFromRequest(const v1::CreateRegionRequest& request) {
  return ContentOf(request.region_id(), request.region());
}

Result<RegionVersion> RegionFromRequest(const v1::UpdateRegionRequest& request) {
  ALLOD_TRY(const auto id, MatchName("region.name", request.region().name(), "regions/*"));
  return ContentOf(id[0], request.region());
}

}  // namespace allod::scheduling
