#include "cli/supervisor/process_configs.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "cli/supervisor/data_services.h"
#include "services/common/ids.h"

namespace allod::cli {
namespace {

using nlohmann::json;

constexpr int kFirstPort = 8080;
constexpr int kPortsTried = 100;

bool CanListen(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return false;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return ok;
}

bool CanListen(const std::string& address) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos) return false;
  const char* end = address.data() + address.size();
  const auto [at, error] = std::from_chars(address.data() + colon + 1, end, port);
  return error == std::errc() && at == end && port > 0 && port < 65536 && CanListen(address.substr(0, colon), port);
}

Result<std::string> ChooseListen(const StateDir& state, const std::string& asked) {
  if (!asked.empty()) {
    if (CanListen(asked)) return asked;
    return FailedPrecondition("PORT_IN_USE",
                              fmt::format("--http {}: cannot listen there (is it IPv4:PORT, and free?)", asked));
  }
  if (const auto base = state.HttpBase(); base && CanListen(base->substr(7))) return base->substr(7);
  for (int port = kFirstPort; port < kFirstPort + kPortsTried; ++port) {
    if (CanListen("127.0.0.1", port)) return fmt::format("127.0.0.1:{}", port);
  }
  return FailedPrecondition("PORT_IN_USE", fmt::format("no free port from {} to {} on 127.0.0.1: give --http",
                                                       kFirstPort, kFirstPort + kPortsTried - 1));
}

json Database(const StateDir& state, const std::string& service) {
  const std::string role = "allod_" + service;
  return {{"url", fmt::format("host={} dbname=allod user={}", (state.postgres() / "run").string(), role)},
          {"password_file", state.secret(PostgresCluster::PasswordName(role)).string()},
          {"connections_max", 6}};
}

json LastConfig(const StateDir& state, const std::string& process) {
  const auto text = ReadFile(state.config(process));
  json last = text ? json::parse(*text, nullptr, false) : json();
  return last.is_object() ? last : json::object();
}

// How the node shall run workers. Kept from one `allod up` to the next, so that a strict sandbox stays strict.
Result<json> Tuning(const StateDir& state, const UpOptions& options) {
  const json last = LastConfig(state, "node");
  json out = json::object();
  for (const char* field : {"memory_bytes", "sandbox", "gate", "zygote_idle_seconds", "pool"}) {
    if (last.contains(field)) out[field] = last[field];
  }
  const auto set = [&](const char* group, const char* field, int value) {
    if (value > 0) out[group][field] = value;
  };
  if (options.memory_mib > 0) out["memory_bytes"] = options.memory_mib << 20;
  if (!options.sandbox.empty()) out["sandbox"] = options.sandbox;
  if (options.zygote_idle_seconds > 0) out["zygote_idle_seconds"] = options.zygote_idle_seconds;
  set("gate", "cores", options.gate_cores);
  set("gate", "turn_ms_max", options.gate_turn_ms_max);
  set("gate", "chunk_tokens_max", options.gate_chunk_tokens_max);
  set("pool", "sequences", options.pool_sequences);
  set("pool", "context_tokens", options.pool_context_tokens);
  return out;
}

Result<json> Weights(const StateDir& state, const UpOptions& options) {
  const json last = LastConfig(state, "scheduling");
  json out = last.contains("weights") && last["weights"].is_object() ? last["weights"] : json::object();
  for (const std::string& text : options.weights) {
    const auto equals = text.find('=');
    int weight = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = equals == std::string::npos ? std::from_chars_result{end, std::errc::invalid_argument}
                                                         : std::from_chars(text.data() + equals + 1, end, weight);
    const std::string tenant = text.substr(0, equals);
    if (error != std::errc() || at != end || weight < 1 || weight > 1000 || !CheckId("--weight", tenant)) {
      return InvalidArgument("INVALID_WEIGHT",
                             fmt::format("--weight {}: write TENANT=N with N from 1 to 1000, e.g. ke=2", text));
    }
    out[tenant] = weight;
  }
  return out;
}

}  // namespace

const std::vector<std::string>& PlatformProcesses() {
  static const std::vector<std::string> names = {"tenancy", "catalog", "billing", "scheduling", "node", "gateway"};
  return names;
}

Status WriteConfigs(const StateDir& state, const UpOptions& options) {
  ALLOD_TRY(const std::string http_listen, ChooseListen(state, options.http_listen));
  ALLOD_CHECK_OK(EnsureSecret(state, "api_key_pepper"));
  const auto write = [&](const std::string& process, const json& config) {
    return WriteFile(state.config(process), config.dump(2) + "\n");
  };
  ALLOD_CHECK_OK(write("tenancy", {{"listen", state.target("tenancy")},
                                   {"database", Database(state, "tenancy")},
                                   {"api_key_pepper_file", state.secret("api_key_pepper").string()}}));
  ALLOD_CHECK_OK(write("catalog", {{"listen", state.target("catalog")},
                                   {"database", Database(state, "catalog")},
                                   {"artifact_dir", state.artifacts().string()},
                                   {"billing_target", state.target("billing")}}));
  ALLOD_CHECK_OK(write("billing", {{"listen", state.target("billing")},
                                   {"database", Database(state, "billing")},
                                   {"tenancy_target", state.target("tenancy")}}));
  ALLOD_TRY(const json tuning, Tuning(state, options));
  ALLOD_TRY(const json weights, Weights(state, options));
  json scheduling{{"listen", state.target("scheduling")},
                  {"database", Database(state, "scheduling")},
                  {"tenancy_target", state.target("tenancy")},
                  {"catalog_target", state.target("catalog")},
                  {"billing_target", state.target("billing")},
                  {"regions", json::array({{{"name", options.region}, {"jurisdiction", options.jurisdiction}}})}};
  if (!weights.empty()) scheduling["weights"] = weights;
  // The planner counts the shared worker as the node will make it.
  if (tuning.contains("pool")) scheduling["pool"] = tuning["pool"];
  ALLOD_CHECK_OK(write("scheduling", scheduling));
  ALLOD_CHECK_OK(write("gateway", {{"http_listen", http_listen},
                                   {"grpc_listen", state.target("grpc")},
                                   {"tenancy_target", state.target("tenancy")},
                                   {"catalog_target", state.target("catalog")},
                                   {"billing_target", state.target("billing")},
                                   {"scheduling_target", state.target("scheduling")},
                                   {"redis_url", "unix:" + RedisSocket(state)},
                                   {"api_key_pepper_file", state.secret("api_key_pepper").string()},
                                   {"journal_dir", state.journal().string()}}));
  json node{{"node", "local"},
            {"region", options.region},
            {"memory_bytes", 0},
            {"cpu_millis", 0},
            {"scheduling_target", state.target("scheduling")},
            {"catalog_target", state.target("catalog")},
            {"artifact_dir", state.artifacts().string()},
            {"run_dir", (state.run() / "workers").string()},
            {"worker_executable", (options.bin / "allod-worker").string()},
            {"compress_executable", (options.bin / "allod-compress").string()},
            {"evaluation_text", (options.share / "inference/starter/eval/heldout.txt").string()},
            {"usage_dir", state.usage().string()},
            {"billing_target", state.target("billing")}};
  node.update(tuning);
  return write("node", node);
}

}  // namespace allod::cli
