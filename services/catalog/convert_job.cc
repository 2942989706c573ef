#include <fmt/format.h>

#include "services/catalog/convert.h"
#include "services/catalog/convert_values.h"
#include "services/common/rpc/status.h"
#include "services/common/spdx.h"

namespace allod::catalog {
namespace {

TensorTypes TensorTypesFromProto(const google::protobuf::Map<std::string, std::int32_t>& types) {
  return {types.begin(), types.end()};
}

}  // namespace

QualityReport FromProto(const v1::QualityReport& report) {
  QualityReport out;
  out.bytes = report.bytes();
  out.bits_per_weight = report.bits_per_weight();
  out.perplexity = report.perplexity();
  out.source_perplexity = report.source_perplexity();
  out.mean_kl_divergence = report.mean_kl_divergence();
  out.top1_agreement = report.top1_agreement();
  out.evaluated_tokens = report.evaluated_tokens();
  out.evaluation_text_sha256 = report.evaluation_text_sha256();
  out.decode_tokens_per_second = report.decode_tokens_per_second();
  out.prefill_tokens_per_second = report.prefill_tokens_per_second();
  out.measured_on = report.measured_on();
  // What a node cannot say of the time of its measurement does not spoil the measurement.
  if (const auto time = TimeFrom("measure_time", report.measure_time())) out.measure_time = *time;
  return out;
}

v1::QualityReport ToProto(const QualityReport& report) {
  v1::QualityReport out;
  out.set_bytes(report.bytes);
  out.set_bits_per_weight(report.bits_per_weight);
  out.set_perplexity(report.perplexity);
  out.set_source_perplexity(report.source_perplexity);
  out.set_mean_kl_divergence(report.mean_kl_divergence);
  out.set_top1_agreement(report.top1_agreement);
  out.set_evaluated_tokens(report.evaluated_tokens);
  out.set_evaluation_text_sha256(report.evaluation_text_sha256);
  out.set_decode_tokens_per_second(report.decode_tokens_per_second);
  out.set_prefill_tokens_per_second(report.prefill_tokens_per_second);
  out.set_measured_on(report.measured_on);
  *out.mutable_measure_time() = ToTimestamp(report.measure_time);
  return out;
}

Result<Uuid> UuidOf(std::string_view field, std::string_view name, std::string_view pattern) {
  ALLOD_TRY(const auto parts, MatchName(field, name, pattern));
  return Uuid::Parse(parts[0]);
}

Result<Job> InspectJobFromRequest(const pb::CreateVersionRequest& request, Time now) {
  ALLOD_TRY(const auto model, MatchName("parent", request.parent(), "models/*"));
  Job job;
  job.id = Uuid::V7(now);
  job.kind = JobKind::kInspect;
  job.target = {{model[0], request.version_id()}, std::string(kSourceVariant)};
  job.source_sha256 = request.version().source_sha256();
  job.compression = kSourceCompression;
  ALLOD_TRY(job.license, NormaliseLicense("version.license", request.version().license()));
  job.create_time = job.update_time = FloorToMicros(now);
  ALLOD_CHECK_OK(CheckNewVersion(job.target.version, job.source_sha256));
  if (request.has_model()) {
    pb::CreateModelRequest creation;
    creation.set_model_id(model[0]);
    *creation.mutable_model() = request.model();
    ALLOD_TRY(job.new_model, ModelFromRequest(creation, now));
  }
  return job;
}

Result<Job> CompressJobFromRequest(const pb::CreateVariantRequest& request, Time now) {
  Job job;
  job.id = Uuid::V7(now);
  job.kind = JobKind::kCompress;
  ALLOD_TRY(job.target.version, VersionKeyOf("parent", request.parent()));
  ALLOD_TRY(job.compression, CompressionOf(request.compression()));
  job.target.variant = VariantIdOf(job.compression);
  job.create_time = job.update_time = FloorToMicros(now);
  return job;
}

Result<JobResult> ResultFromRequest(const pb::FinishJobRequest& request) {
  switch (request.result_case()) {
    case pb::FinishJobRequest::kInspect: {
      const pb::InspectResult& in = request.inspect();
      return InspectResult{in.artifact_sha256(),
                           in.artifact_bytes(),
                           {in.architecture(), in.parameter_count(), in.trained_context_tokens(), in.vocabulary_size(),
                            in.has_chat_template(), in.kv_bytes_per_token()},
                           FromProto(in.quality()),
                           TensorTypesFromProto(in.tensor_types())};
    }
    case pb::FinishJobRequest::kCompress: {
      const pb::CompressResult& in = request.compress();
      return CompressResult{in.artifact_sha256(), in.artifact_bytes(), FromProto(in.quality()),
                            TensorTypesFromProto(in.tensor_types())};
    }
    case pb::FinishJobRequest::kError:
      return BoundedError(FromRpcStatus(request.error()));
    case pb::FinishJobRequest::RESULT_NOT_SET:
      break;
  }
  return InvalidArgument("RESULT_REQUIRED", "result: set one of inspect, compress and error");
}

pb::Job ToProto(const Job& job) {
  pb::Job out;
  out.set_name(job.name());
  out.set_epoch(job.epoch);
  if (job.kind == JobKind::kInspect) {
    out.mutable_inspect()->set_artifact_sha256(job.source_sha256);
  } else {
    out.mutable_compress()->set_source_sha256(job.source_sha256);
    out.mutable_compress()->set_compression(job.compression);
  }
  return out;
}

google::longrunning::Operation ToProto(const Operation& operation) {
  const Job& job = operation.job;
  pb::JobMetadata metadata;
  metadata.set_target(job.target_name());
  metadata.set_phase(job.phase);
  metadata.set_progress(job.progress);
  *metadata.mutable_create_time() = ToTimestamp(job.create_time);
  *metadata.mutable_update_time() = ToTimestamp(job.update_time);

  google::longrunning::Operation out;
  out.set_name(job.operation_name());
  out.mutable_metadata()->PackFrom(metadata);
  out.set_done(job.finished());
  if (operation.version) out.mutable_response()->PackFrom(ToProto(*operation.version));
  if (operation.variant) out.mutable_response()->PackFrom(ToProto(*operation.variant));
  if (job.error) *out.mutable_error() = ToRpcStatus(*job.error);
  return out;
}

}  // namespace allod::catalog
