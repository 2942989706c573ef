// Conversions of small values that several messages of the catalog hold.
#pragma once

#include "allod/catalog/v1/model.pb.h"
#include "services/catalog/domain.h"
#include "services/common/rpc/timestamp.h"

namespace allod::catalog {

QualityReport FromProto(const v1::QualityReport& report);
v1::QualityReport ToProto(const QualityReport& report);

}  // namespace allod::catalog
