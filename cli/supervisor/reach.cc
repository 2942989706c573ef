#include "cli/supervisor/reach.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace allod::cli::supervisor {
namespace {

namespace fs = std::filesystem;

bool MayEnter(const ServiceUser& user, const fs::path& directory) {
  struct stat st {};
  if (stat(directory.c_str(), &st) != 0) return false;
  const bool in_group = st.st_gid == user.gid || std::ranges::find(user.groups, st.st_gid) != user.groups.end();
  const mode_t bit = st.st_uid == user.uid ? S_IXUSR : in_group ? S_IXGRP : S_IXOTH;
  return (st.st_mode & bit) != 0;
}

// "/proc/self/fd/N", without the heap.
std::array<char, 32> DescriptorPath(int fd) {
  std::array<char, 32> out{"/proc/self/fd/"};
  std::array<char, 12> digits{};
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + fd % 10);
    fd /= 10;
  } while (fd > 0);
  std::size_t at = 14;
  while (count > 0) out[at++] = digits[--count];
  return out;
}

}  // namespace

bool CanReach(const ServiceUser& user, const fs::path& path) {
  fs::path walked;
  for (const auto& part : path.parent_path()) {
    walked /= part;
    if (!MayEnter(user, walked)) return false;
  }
  return true;
}

ReachPlan PlanReach(const ServiceUser& user, const fs::path& directory) {
  ReachPlan plan;
  if (directory.empty()) return plan;
  fs::path walked;
  for (const auto& part : directory) {
    walked /= part;
    if (!plan.cover.empty()) {
      plan.below.push_back(walked.string());
    } else if (walked != directory && !MayEnter(user, walked)) {
      plan.cover = walked.string();
    }
  }
  return plan;
}

const char* MakeReachable(const ReachPlan& plan) {
  if (plan.cover.empty()) return nullptr;
  if (unshare(CLONE_NEWNS) != 0) return "unshare(mount namespace)";
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mount(private)";
  const int directory = open(plan.below.back().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return "open(state)";
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("allod-cover", plan.cover.c_str(), "tmpfs", kFlags, "size=64k,nr_inodes=64,mode=0711") != 0) {
    return "mount(cover)";
  }
  const mode_t mask = umask(0);
  for (const std::string& path : plan.below) {
    if (mkdir(path.c_str(), 0711) != 0) return "mkdir(cover)";
  }
  umask(mask);
  if (mount(DescriptorPath(directory).data(), plan.below.back().c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    return "mount(bind)";
  }
  return nullptr;
}

}  // namespace allod::cli::supervisor
