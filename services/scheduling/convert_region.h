// Proto <-> domain for regions.
#pragma once

#include "allod/scheduling/v1/region.pb.h"
#include "services/scheduling/region.h"

namespace allod::scheduling {

v1::Region ToProto(const RegionVersion& region);
v1::RegionVersion VersionToProto(const RegionVersion& version);
// What an operator may say of a region; the first version. INVALID_ARGUMENT / INVALID_NAME for an update, and the
// errors of CheckRegion().
Result<RegionVersion> RegionFromRequest(const v1::CreateRegionRequest& request);
Result<RegionVersion> RegionFromRequest(const v1::UpdateRegionRequest& request);

}  // namespace allod::scheduling
