// What the scheduling service is about: instances with their desired and observed state, replicas, operations, nodes.
//
// Plain values without I/O. Resource names are kept whole where callers see them (`listings/l`); regions and nodes by
// their ids. Times are the database's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/model.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::scheduling {

inline constexpr int kReplicasMax = 16;
inline constexpr int kContextTokensMin = 64;  // a template's own words and a short question; in less no chat fits
inline constexpr int kContextTokensDefault = 4096;
inline constexpr int kConcurrencyDefault = 4;
inline constexpr int kConcurrencyMax = 64;
inline constexpr int kInstancesPerTenantMax = 1000;
// Rows of nodes; the driver takes as many.
inline constexpr int kNodesMax = 1000;
// Revisions kept of one instance beyond those that replicas still run.
inline constexpr int kRevisionsKept = 16;

using scheduler::IsolationClass;

inline constexpr int kSleepAfterSecondsMax = 604'800;

struct InstanceSpec {
  std::string listing;
  std::string variant;
  std::string region;  // id
  IsolationClass isolation_class = IsolationClass::kIsolated;
  int replicas = 0;             // 0: 1
  int context_tokens = 0;       // 0: the smaller of 4096 and what the model was trained for
  int max_concurrency = 0;      // 0: 4
  int sleep_after_seconds = 0;  // 0: never
  std::string quote = {};       // name of the quote that it is billed at; empty: at its listing's prices
  bool operator==(const InstanceSpec&) const = default;
};

// The accepted spec of one generation, defaults filled in, with what was true of the model at that time.
struct Revision {
  std::int64_t generation = 0;
  InstanceSpec spec;
  std::string price_book;
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  int trained_context_tokens = 0;
  std::vector<std::string> residency;
  scheduler::Demand demand;  // of one replica
  bool operator==(const Revision&) const = default;
};

struct Replica {
  scheduler::Replica placement;
  std::string target;  // gRPC target; from when its socket listens
  std::string message;
  int start_count = 0;
};

// `isolated`, `pooled` or `dedicated`: as billing, rows and people call it.
const char* NameOf(IsolationClass isolation_class);

// `tenants/{tenant}/projects/{project}` that the instance is in.
std::string ProjectNameOf(const std::string& instance_name);

// What tenancy says of a tenant, as far as it decides about instances.
struct TenantTerms {
  TenantId tenant;
  bool active = false;       // not suspended
  int weight = 1;            // share of contended compute
  ResidencyRules residency;  // where its data may be
  bool purge = false;        // its grace is over: what it has here is to be removed
  bool operator==(const TenantTerms&) const = default;
};

enum class InstanceState {
  kProvisioning,
  kReady,
  kFailing,
  kDeleting,
  kStopped,  // a rule forbids it; it comes back when the rule allows it again
};

struct InstanceStatus {
  InstanceState state = InstanceState::kProvisioning;
  std::int64_t observed_generation = 0;
  int ready_replicas = 0;
  std::string message;
  std::string reason;  // of kStopped, the rule: TENANT_SUSPENDED, REGION_OUTSIDE_RESIDENCY, ...
  bool operator==(const InstanceStatus&) const = default;
};

struct Instance {
  TenantId tenant;
  Uuid id;
  std::string name;
  std::int64_t generation = 0;
  std::int64_t template_generation = 0;  // the generation that last changed what a worker is
  std::int64_t version = 0;
  bool deleting = false;
  bool stopped_for_credit =
      false;  // it costs something by the hour, and its tenant's credit is used up: nothing of it may run
  InstanceStatus status;
  Time create_time;
  std::map<std::int64_t, Revision> revisions;  // the current one and those that replicas run
  std::vector<Replica> replicas;

  // CheckWhole() holds.
  const Revision& current() const { return revisions.at(generation); }
};

// Whether the parts fit together: the current revision is there, and that of each replica. INTERNAL / ROWS_BROKEN. Who
// reads an instance that another process or an older version wrote asks this before current() and whatever follows it.
Status CheckWhole(const Instance& instance);

// That of the newest generation that answers; of the spec while none does.
IsolationClass ClassInForce(const Instance& instance);

enum class OperationKind { kCreate, kUpdate, kDelete };

struct Operation {
  TenantId tenant;
  Uuid id;
  OperationKind kind = OperationKind::kCreate;
  Uuid instance;
  std::string instance_name;
  std::int64_t generation = 0;
  std::string phase;
  bool done = false;
  std::optional<Error> error;  // only when done
  Time create_time;
};

// Whether it succeeded in making or changing its instance, which is its response then, if it still is.
bool AnswersWithInstance(const Operation& operation);

struct Node {
  scheduler::Node node;
  std::int64_t session_epoch = 0;
  scheduler::Resources allocated;
  int worker_count = 0;
};

// Limits and required fields. INVALID_ARGUMENT / INVALID_SPEC, INVALID_NAME.
Status CheckSpec(const InstanceSpec& spec);

// The spec with its defaults. INVALID_ARGUMENT / CONTEXT_TOO_LONG above what the model was trained for.
Result<InstanceSpec> FillIn(InstanceSpec spec, int trained_context_tokens);

// Whether a change from one to the other leaves running workers as they are.
bool SameTemplate(const Revision& a, const Revision& b);

// Whether `asked` (defaults not filled in) is what stands in `revision` already.
bool SameContent(const InstanceSpec& asked, const Revision& revision);

// Changes with the spec only, so that what the reconciler observes never invalidates a reader's copy.
std::string EtagOf(const Instance& instance);
// ABORTED / ETAG_MISMATCH; INVALID_ARGUMENT / ETAG_REQUIRED.
Status CheckEtag(const Instance& instance, const std::string& etag);

// What open operations of an instance end with when it is deleted first.
Error InstanceDeleted(const std::string& instance_name);
// ALREADY_EXISTS / ALREADY_EXISTS: with another spec.
Error InstanceExists(const std::string& instance_name);
// Whether one more may be made beside those that there are. RESOURCE_EXHAUSTED / TOO_MANY_INSTANCES.
Status RoomForInstance(std::int64_t in_tenant);
// ABORTED / INSTANCE_DELETING: it will soon be gone.
Error InstanceDeleting(const std::string& instance_name);
// ABORTED / INSTANCE_DELETED: what was asked for stood a moment ago, and was not judged anew.
Error InstanceJustGone(const std::string& instance_name);

}  // namespace allod::scheduling
