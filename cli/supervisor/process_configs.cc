#include "cli/supervisor/process_configs.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/installation/files.h"
#include "cli/supervisor/data_services.h"
#include "cli/supervisor/layout.h"
#include "cli/supervisor/role_sockets.h"
#include "services/common/ids.h"
#include "services/common/owned_fd.h"

namespace allod::cli::supervisor {
namespace {

using installation::StateDir;
using nlohmann::json;

constexpr int kFirstPort = 8080;
constexpr int kFirstOperatorsPort = 9080;
constexpr int kPortsTried = 100;

bool CanListen(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return false;
  const OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return false;
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(fd.get(), 1) == 0;
}

bool CanListen(const std::string& address) {
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos) return false;
  const char* end = address.data() + address.size();
  const auto [at, error] = std::from_chars(address.data() + colon + 1, end, port);
  return error == std::errc() && at == end && port > 0 && port < 65536 && CanListen(address.substr(0, colon), port);
}

// The gateway listens as a user without capabilities, whoever starts it.
Status CheckPrivilege(const char* option, const std::string& address) {
  int first_free = 1024;
  std::ifstream("/proc/sys/net/ipv4/ip_unprivileged_port_start") >> first_free;
  const auto colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos) return {};
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  if (port == 0 || port >= first_free) return {};
  return FailedPrecondition("PORT_PRIVILEGED",
                            fmt::format("{} {}: the gateway runs without privileges and cannot listen below port {}; "
                                        "choose another port and put a proxy in front of it, or lower "
                                        "net.ipv4.ip_unprivileged_port_start",
                                        option, address, first_free));
}

// Where to listen: as asked with `option`, else as the last time, else on the first free port from `first_port` on.
Result<std::string> ChooseListen(const char* option, const std::string& asked, const Result<std::string>& last_base,
                                 int first_port) {
  constexpr std::size_t kSchemeBytes = std::string_view("http://").size();
  const std::string last = last_base && last_base->size() > kSchemeBytes ? last_base->substr(kSchemeBytes) : "";
  ALLOD_CHECK_OK(CheckPrivilege(option, asked.empty() ? last : asked));
  if (!asked.empty()) {
    if (CanListen(asked)) return asked;
    return FailedPrecondition("PORT_IN_USE",
                              fmt::format("{} {}: cannot listen there (is it IPv4:PORT, and free?)", option, asked));
  }
  if (!last.empty() && CanListen(last)) return last;
  for (int port = first_port; port < first_port + kPortsTried; ++port) {
    if (CanListen("127.0.0.1", port)) return fmt::format("127.0.0.1:{}", port);
  }
  return FailedPrecondition("PORT_IN_USE", fmt::format("no free port from {} to {} on 127.0.0.1: give {}", first_port,
                                                       first_port + kPortsTried - 1, option));
}

// A call that has a place in its service's gates (services/*/call_gates.h) finds a connection at once, and a few are
// left for what is not counted. They are made when they are needed.
constexpr int kServiceConnections = 16;
// Those that move money; billing has others beside them.
constexpr int kMoneyConnections = 6;

json Database(const StateDir& state, const std::string& service) {
  const std::string role = "allod_" + service;
  return {{"url", PostgresUrl(state, role, "allod")},
          {"password_file", state.secret(PostgresCluster::PasswordName(role)).string()},
          {"connections_max", service == "billing" ? kMoneyConnections : kServiceConnections}};
}

// The word "none" takes back what an earlier `allod up` allowed.
void KeepList(const StateDir& state, const char* field, const std::vector<std::string>& given, json& gateway) {
  if (given == std::vector<std::string>{"none"}) return;
  const json last = LastConfig(state, "gateway");
  if (!given.empty()) {
    gateway[field] = given;
  } else if (last.contains(field)) {
    gateway[field] = last[field];
  }
}

// What an operator wrote of those who come in by an identity provider (gateway/README.md) stays.
void KeepIdentitySettings(const StateDir& state, json& gateway) {
  const json last = LastConfig(state, "gateway");
  for (const auto& [field, value] : last.items()) {
    const bool is_one =
        field.starts_with("issuer_") || field.starts_with("exchanges_per_minute_") || field.starts_with("session_");
    if (is_one) gateway[field] = value;
  }
}

// What an operator wrote of where events may be sent (docs/events.md) stays.
void KeepEventSettings(const StateDir& state, json& billing) {
  const json last = LastConfig(state, "billing");
  for (const auto& [field, value] : last.items()) {
    if (field.starts_with("event_") && field != "event_secret_file") billing[field] = value;
  }
}

// What browsers know the gateway as: what an operator said, now or before, else where it listens on this machine.
void SetPublicUrl(const StateDir& state, const std::string& given, json& gateway) {
  const auto local = [](const json& config) { return "http://" + config.value("http_listen", ""); };
  const json last = LastConfig(state, "gateway");
  const std::string kept = last.value("public_url", "");
  const bool is_chosen = !kept.empty() && kept != local(last);
  const std::string own = gateway.value("http_listen", "");
  if (!given.empty() && given != "none") {
    gateway["public_url"] = given;
  } else if (given.empty() && is_chosen) {
    gateway["public_url"] = kept;
  } else if (own.starts_with("127.0.0.1:") || own.starts_with("[::1]:")) {
    gateway["public_url"] = local(gateway);
  }
}

// Whether a container that maps few users has these: "inside outside count" in each line.
bool AreMapped(const char* map, std::uint32_t first) {
  std::ifstream in(map);
  std::uint64_t inside = 0, outside = 0, count = 0;
  while (in >> inside >> outside >> count) {
    if (first >= inside && first + std::uint64_t{kServiceUids} <= inside + count) return true;
  }
  return false;
}

Result<std::uint32_t> DefaultUids() {
  constexpr std::uint32_t kInSmallContainers = 60'000;
  if (geteuid() != 0) return kServiceUidsFirst;
  for (const std::uint32_t first : {kServiceUidsFirst, kInSmallContainers}) {
    if (AreMapped("/proc/self/uid_map", first) && AreMapped("/proc/self/gid_map", first)) return first;
  }
  return FailedPrecondition("UIDS_NOT_MAPPED",
                            fmt::format("neither {} nor {} and the {} numbers from there are users of this container "
                                        "(/proc/self/uid_map): give --service-uids",
                                        kServiceUidsFirst, kInSmallContainers, kServiceUids));
}

constexpr char kUidsField[] = "service_uids_first";

// Of the last `allod up`; 0: it chose none.
std::uint32_t LastUids(const StateDir& state) {
  const json last = LastConfig(state, "up");
  return last.contains(kUidsField) && last[kUidsField].is_number_unsigned() ? last[kUidsField].get<std::uint32_t>() : 0;
}

Status CheckFree(const char* option, std::uint32_t first, std::uint32_t count, const FindProcess& find) {
  const auto process = find(first, count);
  if (!process) return {};
  return FailedPrecondition(
      "UIDS_IN_USE", fmt::format("{} {}: process {} runs as one of the {} users from there; give others", option, first,
                                 *process, count));
}

// Further installations of one machine: the services' blocks follow each other, and the workers' are kWorkerUidsStride
// apart (1024 models each), all below the services'.
constexpr std::uint32_t kInstallationsMax = 32;
constexpr std::uint32_t kWorkerUidsStride = 1 << 20;
constexpr std::uint32_t kWorkerUidsLooked = 1024;  // the jobs'
constexpr char kWorkerUidsField[] = "/first_uid";

}  // namespace

json LastConfig(const StateDir& state, const std::string& process) {
  return installation::ReadJson(state.config(process)).value_or(json::object());
}

std::vector<std::string> LostWeights(const StateDir& state) {
  std::vector<std::string> commands;
  const json last = LastConfig(state, "scheduling");
  if (!last.contains("weights") || !last["weights"].is_object()) return commands;
  for (const auto& [tenant, weight] : last["weights"].items()) {
    if (weight.is_number_integer()) {
      commands.push_back(fmt::format("allod tenants update {} --weight {}", tenant, weight.get<int>()));
    }
  }
  return commands;
}

Result<UpOptions> WithFreeUsers(const StateDir& state, UpOptions options, const FindProcess& find) {
  if (geteuid() != 0) return options;
  const json last_node = LastConfig(state, "node");
  const std::uint32_t given = options.service_uids_first;
  // What is kept may be what a former run of this installation has not let go of yet.
  if (given != 0 && given != LastUids(state)) ALLOD_CHECK_OK(CheckFree("--service-uids", given, kServiceUids, find));
  const auto workers = options.node.find(kWorkerUidsField);
  if (workers != options.node.end() && last_node.value("first_uid", json()) != workers->second) {
    ALLOD_CHECK_OK(CheckFree("--first-uid", workers->second.get<std::uint32_t>(), kWorkerUidsLooked, find));
  }
  const bool is_first_start = LastUids(state) == 0 && last_node.empty();
  if (given != 0 || !is_first_start) return options;
  ALLOD_TRY(const std::uint32_t usual, DefaultUids());
  for (std::uint32_t n = 0; n < kInstallationsMax; ++n) {
    const std::uint32_t first = usual + n * kServiceUids;
    const bool is_mapped = AreMapped("/proc/self/uid_map", first) && AreMapped("/proc/self/gid_map", first);
    if (!is_mapped || find(first, kServiceUids)) continue;
    if (n == 0) return options;
    options.service_uids_first = first;
    // Whoever runs as the services of a block before has the workers of that block, running now or not.
    options.node.try_emplace(kWorkerUidsField, kWorkerUidsFirst + n * kWorkerUidsStride);
    return options;
  }
  return FailedPrecondition("UIDS_IN_USE",
                            fmt::format("the {} blocks of {} users from {} on are in use by running processes: give "
                                        "--service-uids and --first-uid",
                                        kInstallationsMax, kServiceUids, usual));
}

Result<ServiceUsers> UsersOf(const StateDir& state, const UpOptions& options) {
  std::uint32_t first = options.service_uids_first;
  if (first == 0) first = LastUids(state);
  if (first == 0) {
    ALLOD_TRY(first, DefaultUids());
  }
  return ServiceUsers::Make(first);
}

Status RememberUsers(const StateDir& state, const UpOptions& options, const ServiceUsers& users) {
  if (options.service_uids_first == 0) return {};
  const json up{{kUidsField, options.service_uids_first}};
  return WritePrivate(state, "config", "up.json", up.dump(2) + "\n", users, "");
}

Status WriteConfigs(const StateDir& state, const UpOptions& options, const ServiceUsers& users) {
  ALLOD_TRY(const std::string http_listen, ChooseListen("--http", options.http_listen, state.HttpBase(), kFirstPort));
  ALLOD_TRY(const std::string operators_listen,
            ChooseListen("--operators", options.operators_listen, state.OperatorsBase(), kFirstOperatorsPort));
  ALLOD_CHECK_OK(EnsureSecret(state, users, "api_key_pepper", users.pepper()));
  const auto billing = users.Of("billing");
  ALLOD_CHECK_OK(EnsureSecret(state, users, "event_secret", billing ? billing->gid : 0));
  const auto write = [&](const std::string& process, const json& config) {
    return WritePrivate(state, "config", process + ".json", config.dump(2) + "\n", users, process);
  };
  ALLOD_CHECK_OK(write("tenancy", {{"listen", state.target("tenancy")},
                                   {"peer_uids", users.Callers("tenancy")},
                                   {"database", Database(state, "tenancy")},
                                   {"api_key_pepper_file", state.secret("api_key_pepper").string()},
                                   {"jurisdiction", options.jurisdiction}}));
  ALLOD_CHECK_OK(write("catalog", {{"listen", state.target("catalog")},
                                   {"peer_uids", users.Callers("catalog")},
                                   {"database", Database(state, "catalog")},
                                   {"artifact_dir", state.artifacts().string()},
                                   {"billing_target", state.target("billing")}}));
  json billing_config{{"listen", state.target("billing")},
                      {"peer_uids", users.Callers("billing")},
                      {"database", Database(state, "billing")},
                      {"tenancy_target", state.target("tenancy")},
                      {"event_secret_file", state.secret("event_secret").string()},
                      {"invoice_executable", (options.bin / "allod-invoice").string()}};
  KeepEventSettings(state, billing_config);
  ALLOD_CHECK_OK(write("billing", billing_config));
  ALLOD_TRY(const json settings, MergeNodeSettings(LastConfig(state, "node"), options.node));
  json scheduling{{"listen", state.target("scheduling")},
                  {"peer_uids", users.Callers("scheduling")},
                  {"database", Database(state, "scheduling")},
                  {"tenancy_target", state.target("tenancy")},
                  {"catalog_target", state.target("catalog")},
                  {"billing_target", state.target("billing")},
                  {"regions", json::array({{{"name", options.region}, {"jurisdiction", options.jurisdiction}}})}};
  if (const json pool = PoolForPlanner(settings); !pool.empty()) scheduling["pool"] = pool;
  ALLOD_CHECK_OK(write("scheduling", scheduling));
  json gateway{{"http_listen", http_listen},
               {"operators_listen", operators_listen},
               {"grpc_listen", state.target("gateway")},
               {"tenancy_target", state.target("tenancy")},
               {"catalog_target", state.target("catalog")},
               {"billing_target", state.target("billing")},
               {"scheduling_target", state.target("scheduling")},
               {"redis_url", "unix:" + RedisSocket(state)},
               {"api_key_pepper_file", state.secret("api_key_pepper").string()},
               {"journal_dir", state.journal().string()},
               {"jurisdiction", options.jurisdiction}};
  KeepList(state, "cors_allowed_origins", options.cors_origins, gateway);
  KeepList(state, "trusted_proxies", options.trusted_proxies, gateway);
  KeepIdentitySettings(state, gateway);
  SetPublicUrl(state, options.public_url, gateway);
  ALLOD_CHECK_OK(AddRoleSockets(state, options, gateway));
  ALLOD_CHECK_OK(write("gateway", gateway));
  json node{{"node", "local"},
            {"region", options.region},
            {"jurisdiction", options.jurisdiction},
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
  node.update(settings);
  return write("node", node);
}

}  // namespace allod::cli::supervisor
