#include "services/common/sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "services/common/owned_fd.h"

namespace allod::sandbox {
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

constexpr std::uint64_t kExecute = 1ULL << 0;
constexpr std::uint64_t kWriteFile = 1ULL << 1;
constexpr std::uint64_t kReadFile = 1ULL << 2;
constexpr std::uint64_t kReadDir = 1ULL << 3;
constexpr std::uint64_t kRemoveDir = 1ULL << 4;
constexpr std::uint64_t kRemoveFile = 1ULL << 5;
constexpr std::uint64_t kMakeDir = 1ULL << 7;
constexpr std::uint64_t kMakeRegular = 1ULL << 8;
constexpr std::uint64_t kMakeSocket = 1ULL << 9;

// No devices, no links, nothing to be executed.
constexpr std::uint64_t kRead = kReadFile | kReadDir;
constexpr std::uint64_t kWrite =
    kRead | kWriteFile | kRemoveDir | kRemoveFile | kMakeDir | kMakeRegular | kMakeSocket | kFsRefer | kFsTruncate;
constexpr std::uint64_t kOfFiles = kExecute | kReadFile | kWriteFile | kFsTruncate | kFsIoctl;

// False when the kernel refused a rule for something that is there.
bool Allow(int ruleset, const PathAccess& allowed, std::uint64_t handled) {
  const OwnedFd by_path(allowed.fd < 0 ? open(allowed.path.c_str(), O_PATH | O_CLOEXEC) : -1);
  const int fd = by_path ? by_path.get() : allowed.fd;
  if (fd < 0) return true;
  struct stat info {};
  const bool known = fstat(fd, &info) == 0;
  std::uint64_t rights = (allowed.write ? kWrite : kRead) & handled;
  if (known && !S_ISDIR(info.st_mode)) rights &= kOfFiles;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = fd;
  return known && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0;
}

}  // namespace

void RestrictByLandlock(Layers& layers, const std::vector<PathAccess>& allowed, bool network) {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U);
  if (abi < 1) return;
  // ABI 1 refuses every rename between directories, which whoever writes below a path may need.
  if (abi < 2 && std::ranges::any_of(allowed, [](const PathAccess& one) { return one.write && one.fd < 0; })) return;
  RulesetAttributes attributes{};
  attributes.handled_access_fs =
      kFsAbi1 | (abi >= 2 ? kFsRefer : 0) | (abi >= 3 ? kFsTruncate : 0) | (abi >= 5 ? kFsIoctl : 0);
  if (abi >= 4 && !network) attributes.handled_access_net = kNetAll;
  if (abi >= 6) attributes.scoped = kScopeAll;
  const std::size_t bytes = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  // What is handled is denied unless a rule allows it.
  const OwnedFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, bytes, 0U)));
  if (!ruleset) return;
  bool ok = true;
  for (const PathAccess& access : allowed) ok = Allow(ruleset.get(), access, attributes.handled_access_fs) && ok;
  if (ok && syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) == 0) layers.Add(kLandlock);
}

}  // namespace allod::sandbox
