// Jobs: work that the catalog asks of nodes, and what may be reported of it. A job is also the operation that its asker
// watches (`operations/{uuid}`). Pure: no I/O, no clock.
//
//   QUEUED -> LEASED -> SUCCEEDED | FAILED;  LEASED -> LEASED with a higher epoch when the lease ran out
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "services/catalog/domain.h"

namespace allod::catalog {

enum class JobKind { kInspect, kCompress };
enum class JobState { kQueued, kLeased, kSucceeded, kFailed };

// How long a lease holds without a report, and how often a job is leased before it counts as impossible.
inline constexpr std::chrono::seconds kLease{10};
inline constexpr int kAttemptsMax = 5;

struct Job {
  Uuid id;
  JobKind kind = JobKind::kInspect;
  VariantKey target;               // of an inspection the `source` variant
  std::string source_sha256;       // what is worked on: the upload, or the artifact of the `source` variant
  std::string compression;         // kSourceCompression for an inspection
  std::string license;             // of an inspection: for the version that it will make
  std::optional<Model> new_model;  // of an inspection: made with the version if it is not there
  JobState state = JobState::kQueued;
  std::int64_t epoch = 0;  // number of leases so far
  std::string leased_by;   // node
  std::string phase;
  double progress = 0;         // 0 to 1
  std::optional<Error> error;  // of a failed job
  Time create_time;
  Time update_time;

  std::string name() const { return "jobs/" + id.ToString(); }
  std::string operation_name() const { return "operations/" + id.ToString(); }
  bool finished() const { return state == JobState::kSucceeded || state == JobState::kFailed; }
  // What the operation is about: the version or the variant.
  std::string target_name() const { return kind == JobKind::kInspect ? target.version.name() : target.name(); }
};

struct InspectResult {
  std::string artifact_sha256;  // of the canonical form; the inspected file's where that is canonical
  std::int64_t artifact_bytes = 0;
  VersionFacts facts;
  QualityReport quality;
  TensorTypes tensor_types;
};

struct CompressResult {
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  QualityReport quality;
  TensorTypes tensor_types;
};

// What a node says at the end of a job.
using JobResult = std::variant<InspectResult, CompressResult, Error>;

// Whether both make the same thing in the same way.
bool SameWork(const Job& a, const Job& b);

// Whether the result can be true: kinds fit, numbers finite and in range. INVALID_ARGUMENT / INVALID_JOB_RESULT.
Status CheckResult(const Job& job, const JobResult& result);
// INVALID_ARGUMENT / INVALID_PROGRESS.
Status CheckProgress(std::string_view phase, double progress);

// The error that an operation shows: what the node said, made fit for storage.
Error BoundedError(Error error);
Error AttemptsExhausted(const Job& job);
// ABORTED / LEASE_LOST.
std::unexpected<Error> LeaseLost(const Job& job);

// What a successful job makes.
Version MakeVersion(const Job& job, const InspectResult& result, Time now);
Variant MakeSourceVariant(const Job& job, const InspectResult& result, Time now);
Variant MakeVariant(const Job& job, const CompressResult& result, Time now);

}  // namespace allod::catalog
