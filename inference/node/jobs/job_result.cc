#include "inference/node/jobs/job_result.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

namespace allod::inference::node::jobs {
namespace {

Status Fill(const std::string& json, google::protobuf::Message& out) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, &out);
  if (status.ok()) return {};
  return Fail(Code::kInternal, "BAD_JOB_RESULT",
              fmt::format("the job's result is no {}: {}", out.GetTypeName(), std::string(status.message())));
}

}  // namespace

Status FillInspectResult(const std::string& json, catalog::v1::InspectResult& out) { return Fill(json, out); }
Status FillCompressResult(const std::string& json, catalog::v1::CompressResult& out) { return Fill(json, out); }

}  // namespace allod::inference::node::jobs
