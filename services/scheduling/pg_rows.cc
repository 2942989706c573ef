#include "services/scheduling/pg_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <stdexcept>
#include <unordered_map>

namespace allod::scheduling {
namespace {

constexpr std::array kReplicaStates = {"pending", "starting", "ready", "stopping", "failed", "stopped", "asleep"};
constexpr std::array kIsolationClasses = {"isolated", "pooled", "dedicated"};
constexpr std::array kInstanceStates = {"provisioning", "ready", "failing", "deleting"};
constexpr std::array kKinds = {"create", "update", "delete"};

template <typename Enum, typename Names>
Enum Parse(const Names& names, const std::string& text) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (text == names[i]) return static_cast<Enum>(i);
  }
  throw std::runtime_error("unexpected word in a row: " + text);
}

std::vector<std::string> SplitByComma(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Revision RevisionOf(const pqxx::row& row) {
  Revision revision;
  revision.generation = row["generation"].as<std::int64_t>();
  revision.spec.listing = row["listing"].c_str();
  revision.spec.variant = row["variant"].c_str();
  revision.spec.region = row["region"].c_str();
  revision.spec.replicas = row["replicas"].as<int>();
  revision.spec.context_tokens = row["context_tokens"].as<int>();
  revision.spec.max_concurrency = row["max_concurrency"].as<int>();
  revision.spec.isolation_class = Parse<IsolationClass>(kIsolationClasses, row["isolation_class"].c_str());
  revision.spec.sleep_after_seconds = row["sleep_after_seconds"].as<int>();
  revision.price_book = row["price_book"].c_str();
  revision.artifact_sha256 = row["artifact_sha256"].c_str();
  revision.artifact_bytes = row["artifact_bytes"].as<std::int64_t>();
  revision.trained_context_tokens = row["trained_context_tokens"].as<int>();
  revision.residency = SplitByComma(row["jurisdictions"].c_str());
  revision.demand.own = {row["memory_bytes"].as<std::int64_t>(), row["cpu_millis"].as<std::int64_t>()};
  revision.demand.weights_bytes = row["weights_bytes"].as<std::int64_t>();
  revision.demand.pool_bytes = row["pool_bytes"].as<std::int64_t>();
  if (revision.demand.weights_bytes > 0) revision.demand.shared_key = revision.artifact_sha256;
  return revision;
}

Replica ReplicaOf(const pqxx::row& row) {
  Replica replica;
  replica.placement.id = UuidOf(row["id"]);
  replica.placement.instance = UuidOf(row["instance_id"]);
  replica.placement.generation = row["generation"].as<std::int64_t>();
  replica.placement.node = row["node"].c_str();
  replica.placement.epoch = row["epoch"].as<std::int64_t>();
  replica.placement.state = Parse<scheduler::ReplicaState>(kReplicaStates, row["state"].c_str());
  replica.placement.state_time = TimeOf(row["state_us"]);
  replica.target = row["target"].c_str();
  replica.message = row["message"].c_str();
  replica.start_count = row["start_count"].as<int>();
  return replica;
}

// The current revision of each instance and those that its replicas run.
constexpr const char* kSelectRevisions =
    "SELECT r.*, array_to_string(r.residency, ',') AS jurisdictions FROM scheduling.revisions r "
    "JOIN scheduling.instances i ON i.tenant_id = r.tenant_id AND i.id = r.instance_id "
    "WHERE r.tenant_id = $1 AND r.instance_id = ANY($2::uuid[]) AND (r.generation = i.generation OR EXISTS ("
    "SELECT 1 FROM scheduling.replicas p WHERE p.tenant_id = r.tenant_id AND p.instance_id = r.instance_id AND "
    "p.generation = r.generation))";

constexpr const char* kSelectReplicas =
    "SELECT *, (extract(epoch FROM state_time) * 1000000)::bigint AS state_us FROM scheduling.replicas "
    "WHERE tenant_id = $1 AND instance_id = ANY($2::uuid[]) ORDER BY epoch, id";

constexpr const char* kCountChange =
    "UPDATE scheduling.tenants SET version = version + 1, changed_in = pg_current_xact_id(), oldest_done_time = CASE "
    "WHEN $2 THEN COALESCE(oldest_done_time, now()) ELSE oldest_done_time END WHERE id = $1 RETURNING version";
constexpr const char* kInsertRevision =
    "INSERT INTO scheduling.revisions (tenant_id, instance_id, generation, listing, variant, region, isolation_class, "
    "replicas, context_tokens, max_concurrency, price_book, artifact_sha256, artifact_bytes, trained_context_tokens, "
    "residency, memory_bytes, cpu_millis, sleep_after_seconds, weights_bytes, pool_bytes) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text[], $16, $17, $18, $19, $20)";

}  // namespace

Uuid UuidOf(const pqxx::field& field) {
  auto parsed = Uuid::Parse(field.c_str());
  if (!parsed) throw std::runtime_error("a uuid column holds: " + std::string(field.c_str()));
  return *parsed;
}

Time TimeOf(const pqxx::field& microseconds) {
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::microseconds(microseconds.as<std::int64_t>())));
}

Operation OperationOf(const TenantId& tenant, const pqxx::row& row) {
  Operation operation;
  operation.tenant = tenant;
  operation.id = UuidOf(row["id"]);
  operation.kind = Parse<OperationKind>(kKinds, row["kind"].c_str());
  operation.instance = UuidOf(row["instance_id"]);
  operation.instance_name = row["instance_name"].c_str();
  operation.generation = row["generation"].as<std::int64_t>();
  operation.phase = row["phase"].c_str();
  operation.done = row["done"].as<bool>();
  if (const int code = row["error_code"].as<int>(); code != 0) {
    operation.error = Error{static_cast<Code>(code), row["error_reason"].c_str(), row["error_message"].c_str()};
  }
  operation.create_time = TimeOf(row["create_us"]);
  return operation;
}

Instance InstanceOf(const TenantId& tenant, const pqxx::row& row) {
  Instance instance;
  instance.tenant = tenant;
  instance.id = UuidOf(row["id"]);
  instance.name = row["name"].c_str();
  instance.generation = row["generation"].as<std::int64_t>();
  instance.template_generation = row["template_generation"].as<std::int64_t>();
  instance.version = row["version"].as<std::int64_t>();
  instance.deleting = row["deleting"].as<bool>();
  instance.status.state = Parse<InstanceState>(kInstanceStates, row["state"].c_str());
  instance.status.observed_generation = row["observed_generation"].as<std::int64_t>();
  instance.status.ready_replicas = row["ready_replicas"].as<int>();
  instance.status.message = row["message"].c_str();
  instance.create_time = TimeOf(row["create_us"]);
  return instance;
}

std::string ArrayOf(const std::vector<std::string>& elements) {
  return fmt::format("{{{}}}", fmt::join(elements, ","));
}

const char* NameOf(scheduler::ReplicaState state) { return kReplicaStates[static_cast<std::size_t>(state)]; }
const char* NameOf(InstanceState state) { return kInstanceStates[static_cast<std::size_t>(state)]; }
const char* NameOf(OperationKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

Status AttachParts(TenantTx& tx, std::vector<Instance>& instances) {
  if (instances.empty()) return {};
  std::map<Uuid, Instance*> by_id;
  std::vector<std::string> ids;
  for (Instance& instance : instances) {
    by_id[instance.id] = &instance;
    ids.push_back(instance.id.ToString());
  }
  const std::string array = ArrayOf(ids);
  for (const auto& row : tx.Exec(kSelectRevisions, tx.tenant().ToString(), array)) {
    Revision revision = RevisionOf(row);
    by_id[UuidOf(row["instance_id"])]->revisions[revision.generation] = std::move(revision);
  }
  for (const auto& row : tx.Exec(kSelectReplicas, tx.tenant().ToString(), array)) {
    Replica replica = ReplicaOf(row);
    by_id[replica.placement.instance]->replicas.push_back(std::move(replica));
  }
  for (Instance& instance : instances) {
    ALLOD_CHECK_OK(CheckWhole(instance));
    for (Replica& replica : instance.replicas) {
      replica.placement.demand = instance.revisions.at(replica.placement.generation).demand;
    }
  }
  return {};
}

std::int64_t CountChange(TenantTx& tx, bool ends_operations) {
  const auto rows = tx.Exec(kCountChange, tx.tenant().ToString(), ends_operations);
  return rows.empty() ? 0 : rows[0][0].as<std::int64_t>();
}

void InsertRevision(TenantTx& tx, const Uuid& instance, const Revision& revision) {
  const InstanceSpec& spec = revision.spec;
  tx.Exec(kInsertRevision, tx.tenant().ToString(), instance.ToString(), revision.generation, spec.listing, spec.variant,
          spec.region, NameOf(spec.isolation_class), spec.replicas, spec.context_tokens, spec.max_concurrency,
          revision.price_book, revision.artifact_sha256, revision.artifact_bytes, revision.trained_context_tokens,
          ArrayOf(revision.residency), revision.demand.own.memory_bytes, revision.demand.own.cpu_millis,
          spec.sleep_after_seconds, revision.demand.weights_bytes, revision.demand.pool_bytes);
}

}  // namespace allod::scheduling
