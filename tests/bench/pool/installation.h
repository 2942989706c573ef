// A whole private installation for benchmarks: PostgreSQL, Redis and every service in a temporary directory, with the
// models, tenants and keys that are asked for. It dies with this process and leaves nothing. Blocking; one thread.
// Throws std::runtime_error with the command's own words when something cannot be set up.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/pool/interrupt.h"
#include "tests/bench/pool/process_memory.h"
#include "tests/bench/pool/stream_client.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {

// Where the programs of this build lie: build/bin, beside this program's build/tests.
std::filesystem::path BuildDirectory();

// An imported file that tenants can have instances of.
struct ListedModel {
  std::string listing;
  std::string variant;
  std::string version;
};

// A tenant with a project and API keys, each of which has its own rate limit.
struct TenantAccess {
  std::string name;     // "tenants/t0"
  std::string project;  // "tenants/t0/projects/p"
  std::vector<std::string> keys;
};

struct InstanceShape {
  std::string isolation_class = "isolated";
  int context_tokens = 512;
  int max_concurrency = 1;
  int sleep_after_seconds = 0;
};

class Installation {
 public:
  Installation();   // up
  ~Installation();  // down, removed
  Installation(const Installation&) = delete;

  // Imports a file as it is and lists it. Takes as long as the platform takes to measure it.
  ListedModel Import(const std::filesystem::path& file, const std::string& model);
  // The synthetic 0.4 B model, made first where it is missing. Imported once.
  const ListedModel& BenchModel();
  // The first `count` tenants, made where missing, each with at least `key_count` keys.
  std::vector<TenantAccess> Tenants(int count, int key_count = 1);
  // Returns when all of them are ready. Several tenants get one each, named `id`.
  void CreateInstances(const std::vector<TenantAccess>& tenants, const std::string& id, const ListedModel& model,
                       const InstanceShape& shape);
  void DeleteInstances(const std::vector<TenantAccess>& tenants, const std::string& id);
  // One call of the portal API.
  nlohmann::json Portal(const std::string& method, const std::string& path, const std::string& key,
                        const nlohmann::json& body = nullptr);
  static nlohmann::json InstanceBody(const ListedModel& model, const InstanceShape& shape);

  StreamRequest Completion(const TenantAccess& tenant, const std::string& instance, const std::string& prompt,
                           int tokens) const;
  StreamRequest Chat(const TenantAccess& tenant, const std::string& instance, const std::string& content, int tokens,
                     std::size_t key = 0) const;

  std::string Allod(std::vector<std::string> args) const;
  int port() const { return port_; }
  std::filesystem::path run_dir() const { return directory_ / "run"; }
  std::string OperatorTarget() const { return "unix:" + (run_dir() / "grpc.sock").string(); }
  // Of a process that `allod up` runs, e.g. "gateway".
  pid_t Pid(const std::string& process) const;
  // All processes that `allod up` started, and theirs.
  std::vector<ProcessEntry> Processes() const;
  // Those that hold or run models: what the node agent started, without compression jobs.
  std::vector<pid_t> ModelProcesses() const;
  // The process that answers for an instance (its full name), as the node tells it.
  pid_t WorkerPid(const std::string& instance) const;
  // Of the KV cache of `cells` tokens; throws when the catalog does not know the model's shape.
  std::int64_t KvBytes(const ListedModel& model, const TenantAccess& reader, int cells);

 private:
  TempDir directory_;
  std::optional<Process> up_;
  std::optional<EndedWhenInterrupted> guard_;
  int port_ = 0;
  std::optional<ListedModel> bench_model_;
  std::vector<TenantAccess> tenants_;
};

}  // namespace allod::bench
