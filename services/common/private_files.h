// Files and directories that a privileged process keeps beside those of other users: made, handed over, written and
// removed by descriptor, one name at a time, and never through a link.
//
// A path that another user may write can change between two looks at it: what was a directory is then a link to
// /etc/shadow. So a tree is entered once through ResolveTrusted, which refuses every directory on the way in which
// somebody else could exchange a name, and from there each step is openat(2) with O_NOFOLLOW; owner and mode are
// changed through the descriptor that was looked at. Linux only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod {

// Who a file or directory shall belong to. kSame: whoever it belongs to now (the process itself for a new one).
struct Owner {
  static constexpr uid_t kSame = static_cast<uid_t>(-1);
  uid_t uid = kSame;
  gid_t gid = static_cast<gid_t>(kSame);
};

// The absolute path without links that the directory `path` stands for, whether it exists or not. FAILED_PRECONDITION /
// UNSAFE_PATH names the directory (or link) on the way, the last one included, that belongs to another user than this
// one or root, or that others may write (unless it is sticky, like /tmp), and what to do.
Result<std::filesystem::path> ResolveTrusted(const std::filesystem::path& path);

// An open directory. Errors of all methods: FAILED_PRECONDITION / UNSAFE_PATH for links and foreign owners,
// STATE_NOT_WRITABLE for what the system refuses; both name the path. Names are single components.
class Directory {
 public:
  // The last component must not be a link.
  static Result<Directory> Open(const std::filesystem::path& path);
  Directory(Directory&&) noexcept = default;
  Directory& operator=(Directory&&) = delete;

  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }
  uid_t owner() const;
  gid_t group() const;

  bool Has(const std::string& name) const;  // a link counts
  Result<Directory> OpenChild(const std::string& name) const;
  // Makes it if it is not there, and gives it owner and mode. One that is there must belong to this process's user, to
  // `owner` or to one of `former`: anybody else's is refused.
  Result<Directory> Make(const std::string& name, mode_t mode, const Owner& owner = {},
                         const std::vector<uid_t>& former = {}) const;
  // Gives this directory owner and mode.
  Status HandOver(const Owner& owner, mode_t mode) const;
  // The regular files directly in it that this process's user owns and that have no other name get owner and mode; the
  // others are left alone. For a directory that nobody else could write to until now.
  Status HandOverFiles(const Owner& owner, mode_t mode) const;
  // Replaces the file atomically.
  Status Write(const std::string& name, const std::string& content, mode_t mode, const Owner& owner = {}) const;
  // Gives an existing regular file, which must have one name only, owner and mode.
  Status SetFile(const std::string& name, mode_t mode, const Owner& owner) const;
  // Whether it is a regular file with one name that `uid` owns.
  bool HasFileOf(const std::string& name, uid_t uid) const;
  // Absent is fine. A link goes, not what it points to. RemoveTree also enters directories, 64 deep at most.
  Status Remove(const std::string& name) const;
  Status RemoveTree(const std::string& name) const;

 private:
  Directory(OwnedFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  OwnedFd fd_;
  std::filesystem::path path_;
};

}  // namespace allod
