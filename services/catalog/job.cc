#include "services/catalog/job.h"

#include <fmt/format.h>

#include <cmath>

#include "services/common/text_check.h"

namespace allod::catalog {
namespace {

constexpr std::size_t kTensorTypesMax = 64;
constexpr std::size_t kMessageCharsMax = 2048;

std::unexpected<Error> Invalid(std::string what) { return InvalidArgument("INVALID_JOB_RESULT", std::move(what)); }

Status CheckNumber(std::string_view field, double value, double least, double most) {
  if (std::isfinite(value) && value >= least && value <= most) return {};
  return Invalid(fmt::format("{}: {} is not between {} and {}", field, value, least, most));
}

Status CheckQuality(const QualityReport& q) {
  if (q.bytes <= 0) return Invalid(fmt::format("quality.bytes: {} is not positive", q.bytes));
  if (q.evaluated_tokens <= 0)
    return Invalid(fmt::format("quality.evaluated_tokens: {} is not positive", q.evaluated_tokens));
  ALLOD_CHECK_OK(CheckNumber("quality.bits_per_weight", q.bits_per_weight, 0.01, 1024));
  ALLOD_CHECK_OK(CheckNumber("quality.perplexity", q.perplexity, 1, 1e12));
  ALLOD_CHECK_OK(CheckNumber("quality.source_perplexity", q.source_perplexity, 1, 1e12));
  // Rounding may leave the divergence of two equal distributions a hair below zero.
  ALLOD_CHECK_OK(CheckNumber("quality.mean_kl_divergence", q.mean_kl_divergence, -1e-6, 1e6));
  ALLOD_CHECK_OK(CheckNumber("quality.top1_agreement", q.top1_agreement, 0, 1));
  ALLOD_CHECK_OK(CheckNumber("quality.decode_tokens_per_second", q.decode_tokens_per_second, 0, 1e9));
  ALLOD_CHECK_OK(CheckNumber("quality.prefill_tokens_per_second", q.prefill_tokens_per_second, 0, 1e9));
  ALLOD_CHECK_OK(CheckSha256("quality.evaluation_text_sha256", q.evaluation_text_sha256));
  return CheckText("quality.measured_on", q.measured_on, 0, 128);
}

Status CheckTensorTypes(const TensorTypes& types) {
  if (types.empty() || types.size() > kTensorTypesMax) {
    return Invalid(fmt::format("tensor_types: {} entries instead of 1 to {}", types.size(), kTensorTypesMax));
  }
  for (const auto& [type, count] : types) {
    ALLOD_CHECK_OK(CheckText("tensor_types", type, 1, 32));
    if (count <= 0) return Invalid(fmt::format("tensor_types[{}]: {} is not positive", type, count));
  }
  return {};
}

Status Check(const Job& job, const InspectResult& result) {
  if (job.kind != JobKind::kInspect) return Invalid(fmt::format("{} is not an inspection", job.name()));
  ALLOD_CHECK_OK(CheckSha256("artifact_sha256", result.artifact_sha256));
  if (result.artifact_bytes <= 0) return Invalid("artifact_bytes is not positive");
  ALLOD_CHECK_OK(CheckText("architecture", result.facts.architecture, 1, 64));
  ALLOD_CHECK_OK(CheckNumber("parameter_count", static_cast<double>(result.facts.parameter_count), 1, 1e15));
  ALLOD_CHECK_OK(CheckNumber("trained_context_tokens", result.facts.trained_context_tokens, 1, 1e9));
  ALLOD_CHECK_OK(CheckNumber("vocabulary_size", result.facts.vocabulary_size, 1, 1e9));
  ALLOD_CHECK_OK(CheckNumber("kv_bytes_per_token", static_cast<double>(result.facts.kv_bytes_per_token), 0, 1e12));
  ALLOD_CHECK_OK(CheckQuality(result.quality));
  return CheckTensorTypes(result.tensor_types);
}

Status Check(const Job& job, const CompressResult& result) {
  if (job.kind != JobKind::kCompress) return Invalid(fmt::format("{} is not a compression", job.name()));
  ALLOD_CHECK_OK(CheckSha256("artifact_sha256", result.artifact_sha256));
  if (result.artifact_bytes <= 0) return Invalid("artifact_bytes is not positive");
  ALLOD_CHECK_OK(CheckQuality(result.quality));
  return CheckTensorTypes(result.tensor_types);
}

Status Check(const Job&, const Error&) { return {}; }

}  // namespace

bool SameWork(const Job& a, const Job& b) {
  return a.kind == b.kind && a.target == b.target && a.source_sha256 == b.source_sha256 &&
         a.compression == b.compression && a.license == b.license;
}

Status CheckResult(const Job& job, const JobResult& result) {
  return std::visit([&](const auto& r) { return Check(job, r); }, result);
}

Status CheckProgress(std::string_view phase, double progress) {
  ALLOD_CHECK_OK(CheckText("phase", phase, 0, 64));
  if (std::isfinite(progress) && progress >= 0 && progress <= 1) return {};
  return InvalidArgument("INVALID_PROGRESS", fmt::format("progress: {} is not between 0 and 1", progress));
}

Error BoundedError(Error error) {
  if (error.code == Code::kOk) error.code = Code::kUnknown;
  if (error.reason.empty() || error.reason.size() > 64) error.reason = "JOB_FAILED";
  // A node quotes from foreign files; what is not clean text does not go into an operation.
  if (!CheckText("message", error.message, 1, kMessageCharsMax, /*multiline=*/true)) {
    std::string clean;
    for (const char c : error.message.substr(0, kMessageCharsMax)) clean.push_back(c >= 0x20 && c < 0x7f ? c : '?');
    error.message = clean.empty() ? "the node gave no message" : clean;
  }
  error.retry_after.reset();
  return error;
}

Error AttemptsExhausted(const Job& job) {
  return {Code::kInternal, "JOB_ATTEMPTS_EXHAUSTED",
          fmt::format(
              "{} was started {} times on nodes and none finished it; the last was {} in phase '{}'; its log says why",
              job.target_name(), job.epoch, job.leased_by, job.phase)};
}

std::unexpected<Error> LeaseLost(const Job& job) {
  return Fail(
      Code::kAborted, "LEASE_LOST",
      fmt::format("{} is no longer leased under this epoch (now {}); stop working on it", job.name(), job.epoch));
}

Version MakeVersion(const Job& job, const InspectResult& result, Time now) {
  return {job.target.version, job.license, job.source_sha256, result.facts, now};
}

Variant MakeSourceVariant(const Job& job, const InspectResult& result, Time now) {
  return {job.target,
          std::string(kSourceCompression),
          result.artifact_sha256,
          result.artifact_bytes,
          result.quality,
          result.tensor_types,
          now};
}

Variant MakeVariant(const Job& job, const CompressResult& result, Time now) {
  return {
      job.target, job.compression, result.artifact_sha256, result.artifact_bytes, result.quality, result.tensor_types,
      now};
}

}  // namespace allod::catalog
