// The result line of allod-compress, which is proto3 JSON. Its process had foreign bytes in it.
#pragma once

#include <string>

#include "allod/catalog/v1/job.pb.h"
#include "services/common/result.h"

namespace allod::inference::node::jobs {

// INTERNAL / BAD_JOB_RESULT.
Status FillInspectResult(const std::string& json, catalog::v1::InspectResult& out);
Status FillCompressResult(const std::string& json, catalog::v1::CompressResult& out);

}  // namespace allod::inference::node::jobs
