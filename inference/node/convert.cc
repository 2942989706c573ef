#include "inference/node/convert.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include "services/common/ids.h"

namespace allod::inference::node {
namespace {

constexpr std::int32_t kContextTokensMax = 1 << 22;
constexpr std::int32_t kConcurrencyMax = 64;

Status Fill(const std::string& json, google::protobuf::Message& out) {
  const auto status = google::protobuf::util::JsonStringToMessage(json, &out);
  if (status.ok()) return {};
  return Fail(Code::kInternal, "BAD_JOB_RESULT",
              fmt::format("the job's result is no {}: {}", out.GetTypeName(), std::string(status.message())));
}

}  // namespace

Result<DesiredWorker> FromProto(const scheduling::v1::Assignment& a) {
  ALLOD_TRY(const Uuid uid, Uuid::Parse(a.replica_uid()));
  ALLOD_CHECK_OK(CheckSha256("artifact_sha256", a.artifact_sha256()));
  ALLOD_TRY(const auto segments, MatchName("instance", a.instance(), "tenants/*/projects/*/instances/*"));
  if (a.context_tokens() < 0 || a.context_tokens() > kContextTokensMax) {
    return InvalidArgument("INVALID_ASSIGNMENT",
                           fmt::format("context_tokens {} is not in 0 to {}", a.context_tokens(), kContextTokensMax));
  }
  if (a.max_concurrency() < 1 || a.max_concurrency() > kConcurrencyMax) {
    return InvalidArgument("INVALID_ASSIGNMENT",
                           fmt::format("max_concurrency {} is not in 1 to {}", a.max_concurrency(), kConcurrencyMax));
  }
  return DesiredWorker{.replica_uid = uid.ToString(),
                       .instance = a.instance(),
                       .epoch = a.epoch(),
                       .artifact_sha256 = a.artifact_sha256(),
                       .artifact_bytes = a.artifact_bytes(),
                       .context_tokens = a.context_tokens(),
                       .max_concurrency = a.max_concurrency()};
}

scheduling::v1::WorkerReport ToProto(const ObservedWorker& worker) {
  scheduling::v1::WorkerReport out;
  out.set_replica_uid(worker.replica_uid);
  out.set_epoch(worker.epoch);
  switch (worker.state) {
    case WorkerState::kStarting:
      out.set_state(scheduling::v1::WorkerReport::STATE_STARTING);
      break;
    case WorkerState::kReady:
      out.set_state(scheduling::v1::WorkerReport::STATE_READY);
      break;
    case WorkerState::kFailed:
      out.set_state(scheduling::v1::WorkerReport::STATE_FAILED);
      break;
  }
  out.set_target(worker.target);
  out.set_message(worker.message);
  out.set_start_count(worker.start_count);
  return out;
}

Status FillInspectResult(const std::string& json, catalog::v1::InspectResult& out) { return Fill(json, out); }
Status FillCompressResult(const std::string& json, catalog::v1::CompressResult& out) { return Fill(json, out); }

}  // namespace allod::inference::node
