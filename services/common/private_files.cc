#include "services/common/private_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <utility>

namespace allod {
namespace {

namespace fs = std::filesystem;

constexpr int kLinksMax = 40;
constexpr int kTreeDepthMax = 64;
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

std::unexpected<Error> Unsafe(const fs::path& path, std::string_view why) {
  return FailedPrecondition("UNSAFE_PATH", fmt::format("{} {}", path.string(), why));
}

std::unexpected<Error> Failed(std::string_view what, const fs::path& path, int error) {
  if (error == ELOOP || error == ENOTDIR) {
    return Unsafe(path, "is a link or no directory; nothing of an installation may be one: remove it, or mount there");
  }
  return FailedPrecondition("STATE_NOT_WRITABLE",
                            fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)));
}

bool IsOurs(uid_t uid) { return uid == 0 || uid == geteuid(); }

// Whether somebody else could exchange a name in this directory.
Status CheckParent(const fs::path& path, const struct stat& info) {
  if (!IsOurs(info.st_uid)) {
    return Unsafe(path, fmt::format("belongs to uid {}, who could put another directory in its place, while this runs "
                                    "as uid {}: run it as that user, or choose a place below directories of your own "
                                    "or of root, e.g. --state /var/lib/allod",
                                    info.st_uid, geteuid()));
  }
  const bool group_may = (info.st_mode & S_IWGRP) != 0 && info.st_gid != getegid();
  const bool others_may = (info.st_mode & S_IWOTH) != 0;
  if ((group_may || others_may) && (info.st_mode & S_ISVTX) == 0) {
    return Unsafe(path, fmt::format("may be written by other users (mode {:04o}), who could put another directory in "
                                    "its place: chmod go-w it, or choose another place",
                                    static_cast<unsigned>(info.st_mode & 07777)));
  }
  return {};
}

std::unexpected<Error> Foreign(const fs::path& path, uid_t uid) {
  return Unsafe(path, fmt::format("belongs to uid {} and not to this installation: move it away, or chown it when you "
                                  "know that it is ours",
                                  uid));
}

}  // namespace

Result<fs::path> ResolveTrusted(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  std::deque<fs::path> left;
  for (const fs::path& part : absolute.relative_path()) {
    if (!part.empty()) left.push_back(part);
  }
  fs::path at = "/";
  int links = 0;
  while (!left.empty()) {
    const fs::path part = left.front();
    left.pop_front();
    if (part == "." || part.empty()) continue;
    if (part == "..") {
      at = at.parent_path();
      continue;
    }
    struct stat parent {};
    if (lstat(at.c_str(), &parent) != 0) return Failed("enter", at, errno);
    ALLOD_CHECK_OK(CheckParent(at, parent));
    const fs::path next = at / part;
    struct stat info {};
    if (lstat(next.c_str(), &info) != 0) {
      if (errno != ENOENT) return Failed("enter", next, errno);
      at = next;  // what is not there will be made by this process
      for (const fs::path& rest : left) at /= rest;
      return at.lexically_normal();
    }
    if (!S_ISLNK(info.st_mode)) {
      at = next;
      continue;
    }
    if (!IsOurs(info.st_uid)) return Unsafe(next, fmt::format("is a link of uid {}", info.st_uid));
    if (++links > kLinksMax) return Unsafe(next, "leads through too many links");
    const fs::path target = fs::read_symlink(next, error);
    if (error) return Failed("read the link", next, error.value());
    if (target.is_absolute()) at = "/";
    std::deque<fs::path> expanded;
    for (const fs::path& piece : target.relative_path()) expanded.push_back(piece);
    left.insert(left.begin(), expanded.begin(), expanded.end());
  }
  struct stat info {};
  if (lstat(at.c_str(), &info) != 0) return Failed("enter", at, errno);
  ALLOD_CHECK_OK(CheckParent(at, info));
  return at;
}

Result<Directory> Directory::Open(const fs::path& path) {
  OwnedFd fd(open(path.c_str(), kOpenDirectory));
  if (!fd) return Failed("open the directory", path, errno);
  return Directory(std::move(fd), path);
}

uid_t Directory::owner() const {
  struct stat info {};
  return fstat(fd_.get(), &info) == 0 ? info.st_uid : Owner::kSame;
}

gid_t Directory::group() const {
  struct stat info {};
  return fstat(fd_.get(), &info) == 0 ? info.st_gid : static_cast<gid_t>(Owner::kSame);
}

bool Directory::Has(const std::string& name) const {
  struct stat info {};
  return fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<Directory> Directory::OpenChild(const std::string& name) const {
  OwnedFd fd(openat(fd_.get(), name.c_str(), kOpenDirectory));
  if (!fd) return Failed("open the directory", path_ / name, errno);
  return Directory(std::move(fd), path_ / name);
}

Result<Directory> Directory::Make(const std::string& name, mode_t mode, const Owner& owner,
                                  const std::vector<uid_t>& former) const {
  if (mkdirat(fd_.get(), name.c_str(), 0700) != 0 && errno != EEXIST) return Failed("make", path_ / name, errno);
  ALLOD_TRY(Directory made, OpenChild(name));
  const uid_t has = made.owner();
  bool accepted = has == geteuid() || has == owner.uid;
  for (const uid_t uid : former) accepted = accepted || has == uid;
  if (!accepted) return Foreign(made.path(), has);
  ALLOD_CHECK_OK(made.HandOver(owner, mode));
  return made;
}

Status Directory::HandOver(const Owner& owner, mode_t mode) const {
  struct stat info {};
  if (fstat(fd_.get(), &info) != 0) return Failed("look at", path_, errno);
  const bool other = (owner.uid != Owner::kSame && owner.uid != info.st_uid) ||
                     (owner.gid != static_cast<gid_t>(Owner::kSame) && owner.gid != info.st_gid);
  if (other && fchown(fd_.get(), owner.uid, owner.gid) != 0) return Failed("give away", path_, errno);
  // Also after a change of the owner, which takes the bits that hand a group down.
  if ((other || (info.st_mode & 07777) != mode) && fchmod(fd_.get(), mode) != 0) return Failed("chmod", path_, errno);
  return {};
}

Status Directory::HandOverFiles(const Owner& owner, mode_t mode) const {
  OwnedFd copy(openat(fd_.get(), ".", kOpenDirectory));
  if (!copy) return Failed("list", path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(copy.get()), &closedir);
  if (!list) return Failed("list", path_, errno);
  copy.Release();  // the list's now
  while (const dirent* entry = readdir(list.get())) {
    if (HasFileOf(entry->d_name, geteuid())) ALLOD_CHECK_OK(SetFile(entry->d_name, mode, owner));
  }
  return {};
}

Status Directory::Write(const std::string& name, const std::string& content, mode_t mode, const Owner& owner) const {
  const std::string temporary = "." + name + ".new";
  ALLOD_CHECK_OK(Remove(temporary));
  const OwnedFd file(openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const auto fail = [&](std::string_view what) {
    const int error = errno;
    unlinkat(fd_.get(), temporary.c_str(), 0);
    return Failed(what, path_ / name, error);
  };
  if (file.get() < 0) return Failed("write", path_ / name, errno);
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t n = write(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write");
    done += static_cast<std::size_t>(n);
  }
  const bool give = owner.uid != Owner::kSame || owner.gid != static_cast<gid_t>(Owner::kSame);
  if (give && fchown(file.get(), owner.uid, owner.gid) != 0) return fail("give away");
  if (fchmod(file.get(), mode) != 0) return fail("chmod");
  if (fsync(file.get()) != 0) return fail("sync");
  if (renameat(fd_.get(), temporary.c_str(), fd_.get(), name.c_str()) != 0) return fail("rename to");
  return {};
}

Status Directory::SetFile(const std::string& name, mode_t mode, const Owner& owner) const {
  const OwnedFd file(openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) return Failed("open", path_ / name, errno);
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return Failed("look at", path_ / name, errno);
  if (!S_ISREG(info.st_mode)) return Unsafe(path_ / name, "is no regular file");
  if (info.st_nlink != 1) return Unsafe(path_ / name, "has a second name somewhere: remove one of them");
  const bool other = (owner.uid != Owner::kSame && owner.uid != info.st_uid) ||
                     (owner.gid != static_cast<gid_t>(Owner::kSame) && owner.gid != info.st_gid);
  if (other && fchown(file.get(), owner.uid, owner.gid) != 0) return Failed("give away", path_ / name, errno);
  if ((other || (info.st_mode & 07777) != mode) && fchmod(file.get(), mode) != 0) {
    return Failed("chmod", path_ / name, errno);
  }
  return {};
}

bool Directory::HasFileOf(const std::string& name, uid_t uid) const {
  struct stat info {};
  return fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
         info.st_uid == uid && info.st_nlink == 1;
}

Status Directory::Remove(const std::string& name) const {
  if (unlinkat(fd_.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return Failed("remove", path_ / name, errno);
}

namespace {

Status RemoveEntry(int parent, const char* name, const fs::path& path, int depth) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return Failed("remove", path, errno);
  if (depth > kTreeDepthMax) return Unsafe(path, "lies too deep to be removed");
  OwnedFd fd(openat(parent, name, kOpenDirectory));
  if (!fd) return Failed("open the directory", path, errno);
  {
    const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(fd.get()), &closedir);
    if (!list) return Failed("list", path, errno);
    fd.Release();  // the list's now
    while (const dirent* entry = readdir(list.get())) {
      const std::string_view child = entry->d_name;
      if (child == "." || child == "..") continue;
      ALLOD_CHECK_OK(RemoveEntry(dirfd(list.get()), entry->d_name, path / child, depth + 1));
    }
  }
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return Failed("remove", path, errno);
}

}  // namespace

Status Directory::RemoveTree(const std::string& name) const {
  return RemoveEntry(fd_.get(), name.c_str(), path_ / name, 0);
}

}  // namespace allod
