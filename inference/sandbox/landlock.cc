#include "inference/sandbox/landlock.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace allod::inference::sandbox {
namespace {

// The kernel's own structure of ABI 6; older headers (and kernels) know a prefix of it.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};

// Rights that exist from each ABI on (landlock(7)).
constexpr std::uint64_t kFsAbi1 = (1ULL << 13) - 1;
constexpr std::uint64_t kFsRefer = 1ULL << 13;
constexpr std::uint64_t kFsTruncate = 1ULL << 14;
constexpr std::uint64_t kFsIoctl = 1ULL << 15;
constexpr std::uint64_t kNetAll = 0b11;
constexpr std::uint64_t kScopeAll = 0b11;

}  // namespace

void RestrictByLandlock(Layers& layers) {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U);
  if (abi < 1) return;
  RulesetAttributes attributes{};
  attributes.handled_access_fs =
      kFsAbi1 | (abi >= 2 ? kFsRefer : 0) | (abi >= 3 ? kFsTruncate : 0) | (abi >= 5 ? kFsIoctl : 0);
  if (abi >= 4) attributes.handled_access_net = kNetAll;
  if (abi >= 6) attributes.scoped = kScopeAll;
  const std::size_t bytes = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  // No rule is added: everything that is handled is denied.
  const long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, bytes, 0U);
  if (ruleset < 0) return;
  if (syscall(SYS_landlock_restrict_self, static_cast<int>(ruleset), 0U) == 0) layers.Add(kLandlock);
  close(static_cast<int>(ruleset));
}

}  // namespace allod::inference::sandbox
