#include "inference/compress/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "inference/sandbox/namespaces.h"
#include "inference/sandbox/seccomp.h"
#include "inference/zygote/uid_maps.h"
#include "services/common/sandbox/landlock.h"
#include "services/common/sandbox/limits.h"

namespace allod::inference::compress {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kOpenFilesMax = 128;
constexpr std::uint64_t kThreadsMax = 512;
constexpr std::uint64_t kSecondsMax = 6 * 3600;
// Of those that the agent mapped; 0 is the one that makes the namespaces.
constexpr std::uint32_t kUidInside = 1;

void DieWithParent() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the call took effect; then there is nobody to work for.
  if (getppid() != parent) raise(SIGKILL);
}

// What the agent did, and the number of the user that this process becomes where it has no user namespace.
struct Told {
  std::uint32_t uid = 0;
};

Told AskAgent(zygote::Channel& agent, sandbox::Layers& layers) {
  Told told;
  if (!agent || !agent.Send({{"type", "start"}})) return told;
  const auto answer = agent.Receive();
  if (!answer || !*answer || (*answer)->type() != "go") return told;
  told.uid = (*answer)->body.value("uid", 0U);
  for (const std::string& layer : (*answer)->body.value("layers", std::vector<std::string>{})) layers.Add(layer);
  return told;
}

// The number of uids that were mapped.
std::uint32_t WaitForMap(zygote::Channel& agent, uid_t own) {
  if (!agent) return sandbox::WriteUidMaps(getpid(), own, 1) ? 1 : 0;
  return zygote::AskForUids(agent);
}

// Root where user namespaces are not allowed: a user of the agent's own numbers, which nobody else has.
bool BecomeUser(std::uint32_t uid) {
  return geteuid() == 0 && uid != 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0;
}

}  // namespace

JobLimits LimitsForJob(std::uint64_t input_bytes, int threads) {
  // 2 bits a weight to 8 is the largest growth there is; thread stacks and allocator arenas reserve space they never
  // touch.
  return {.address_space_bytes = 16 * kGiB + 12 * input_bytes,
          .file_bytes = kGiB / 4 + 5 * input_bytes,
          .cpu_seconds = kSecondsMax * static_cast<std::uint64_t>(threads)};
}

Result<sandbox::Layers> EnterJobSandbox(zygote::Channel& agent, const ConfineOptions& options) {
  if (options.die_with_parent) DieWithParent();
  sandbox::Layers agents;
  const Told told = AskAgent(agent, agents);
  const uid_t own = geteuid();
  auto namespaces = sandbox::EnterZygoteNamespaces([&] { return WaitForMap(agent, own); }, /*keep_groups=*/true);
  agent = zygote::Channel();
  // Without a mount namespace of its own this would be done to the host.
  if (namespaces.layers.Has(sandbox::kMountNamespace) && sandbox::EnterEmptyRoot(/*own_descriptors=*/true)) {
    namespaces.layers.Add(sandbox::kEmptyRoot);
  }
  const bool own_user = !namespaces.layers.Has(sandbox::kUserNamespace) && BecomeUser(told.uid);
  sandbox::Layers layers = sandbox::EnterWorkerNamespaces(namespaces, namespaces.layers.Has(sandbox::kPidNamespace),
                                                          namespaces.uids > kUidInside ? kUidInside : 0);
  if (own_user) layers.Add(sandbox::kOwnUid);
  // This process is itself in what a zygote would have entered.
  for (const std::string& layer : namespaces.layers.names()) {
    if (!layers.Has(layer)) layers.Add(layer);
  }
  namespaces.proc.Reset();
  namespaces.pid_namespace.Reset();
  for (const std::string& layer : agents.names()) layers.Add(layer);

  sandbox::LowerLimits({.open_files_max = kOpenFilesMax,
                        .address_space_bytes_max = options.limits.address_space_bytes,
                        .threads_max = layers.Has(sandbox::kOwnUid) ? kThreadsMax : 0,
                        .file_bytes_max = options.limits.file_bytes,
                        .cpu_seconds_max = options.limits.cpu_seconds},
                       layers);
  std::vector<sandbox::PathAccess> files;
  for (const JobFile& file : options.files) {
    if (file.fd >= 0) files.push_back({.path = {}, .fd = file.fd, .write = file.write});
  }
  sandbox::RestrictByLandlock(layers, files);
  const auto filter = sandbox::SyscallFilter::ForJob(getpid());
  if (filter && filter->Apply()) layers.Add(sandbox::kSeccomp);
  if (options.strict) ALLOD_CHECK_OK(sandbox::RequireStrict(layers));
  return layers;
}

}  // namespace allod::inference::compress
