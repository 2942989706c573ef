#include "cli/supervisor/service_users.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace allod::cli::supervisor {
namespace {

// Positions in the block are for ever: files on disk carry them.
constexpr std::array<std::string_view, 6> kUsers = {"tenancy", "catalog", "billing", "scheduling", "gateway", "redis"};
constexpr std::uint32_t kClientGroups = 16;  // the first of one group for each of:
constexpr std::array<std::string_view, 8> kServers = {"tenancy", "catalog", "billing",  "scheduling",
                                                      "gateway", "redis",   "postgres", "workers"};
constexpr std::uint32_t kArtifactsGroup = 32;
constexpr std::uint32_t kPepperGroup = 33;

struct Client {
  std::string_view process;
  std::string_view server;
};
// Who calls whom: docs/architecture.md.
constexpr Client kClients[] = {
    {"billing", "tenancy"},  {"scheduling", "tenancy"},  {"gateway", "tenancy"},    {"scheduling", "catalog"},
    {"gateway", "catalog"},  {"node", "catalog"},        {"catalog", "billing"},    {"scheduling", "billing"},
    {"gateway", "billing"},  {"node", "billing"},        {"gateway", "scheduling"}, {"node", "scheduling"},
    {"gateway", "redis"},    {"gateway", "workers"},     {"tenancy", "postgres"},   {"catalog", "postgres"},
    {"billing", "postgres"}, {"scheduling", "postgres"},
};

// Ordinary users and containers lie below the first, the node agent's blocks for models above it; their number is
// bounded (inference/node), so that the second is never reached.
constexpr std::uint32_t kSystemUidsEnd = 60'000;
constexpr std::uint32_t kWorkerUidsEnd = kServiceUidsFirst;

template <std::size_t kCount>
std::optional<std::uint32_t> Position(const std::array<std::string_view, kCount>& names, std::string_view name) {
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) return std::nullopt;
  return static_cast<std::uint32_t>(at - names.begin());
}

}  // namespace

const std::vector<int>& NodeCapabilities() {
  static const std::vector<int> kept = {CAP_SETUID, CAP_SETGID,     CAP_SETPCAP,         CAP_SYS_ADMIN,
                                        CAP_KILL,   CAP_SYS_CHROOT, CAP_DAC_READ_SEARCH, CAP_SETFCAP};
  return kept;
}

Result<ServiceUsers> ServiceUsers::Make(std::uint32_t first) {
  const std::uint64_t end = std::uint64_t{first} + kServiceUids;
  const bool meets_workers = first < kWorkerUidsEnd && end > kWorkerUidsFirst;
  if (first < kSystemUidsEnd || end > 0x80000000ULL || meets_workers) {
    return InvalidArgument(
        "INVALID_UIDS",
        fmt::format("--service-uids {}: the {} numbers from it must lie from {} to {} or from {} to {}; "
                    "those between are for models and jobs",
                    first, kServiceUids, kSystemUidsEnd, kWorkerUidsFirst - 1, kWorkerUidsEnd, 0x7fffffffU));
  }
  return ServiceUsers(geteuid() == 0, first);
}

std::optional<ServiceUser> ServiceUsers::Of(const std::string& process) const {
  if (!separate_) return std::nullopt;
  ServiceUser user;
  if (process == "postgres") {
    for (const char* name : {"postgres", "nobody"}) {
      const passwd* entry = getpwnam(name);
      if (entry == nullptr) continue;
      user = {entry->pw_uid, entry->pw_gid, {}, name};
      break;
    }
    if (user.name.empty()) return std::nullopt;
  } else if (process == "node") {
    user = {0, 0, {}, "root"};
  } else if (const auto position = Position(kUsers, process)) {
    user.uid = user.gid = first_ + *position;
    user.name = std::to_string(user.uid);
  } else {
    return std::nullopt;
  }
  for (const Client& client : kClients) {
    if (client.process == process) user.groups.push_back(ClientsOf(std::string(client.server)));
  }
  if (process == "catalog" || process == "node") user.groups.push_back(artifacts());
  if (process == "tenancy" || process == "gateway") user.groups.push_back(pepper());
  return user;
}

std::vector<uid_t> ServiceUsers::Callers(const std::string& service) const {
  std::vector<uid_t> out;
  for (const Client& client : kClients) {
    if (client.server != service) continue;
    if (const auto user = Of(std::string(client.process)); user && user->uid != 0) out.push_back(user->uid);
  }
  return out;
}

gid_t ServiceUsers::ClientsOf(const std::string& server) const {
  const auto position = Position(kServers, server);
  return separate_ && position ? first_ + kClientGroups + *position : 0;
}

gid_t ServiceUsers::artifacts() const { return separate_ ? first_ + kArtifactsGroup : 0; }
gid_t ServiceUsers::pepper() const { return separate_ ? first_ + kPepperGroup : 0; }

}  // namespace allod::cli::supervisor
