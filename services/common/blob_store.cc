#include "services/common/blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <vector>

#include "services/common/digest.h"
#include "services/common/ids.h"
#include "services/common/owned_fd.h"

namespace allod {
namespace {

namespace fs = std::filesystem;

constexpr auto kLeftoverAge = std::chrono::hours(24);
constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kStemMax = 32;
constexpr mode_t kFileMode = 0640;

fs::path Incoming(const fs::path& root) { return root / "incoming"; }

// The path stays in the log of the caller at most; the message is about the store.
std::unexpected<Error> IoError(std::string_view what, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    return Fail(Code::kResourceExhausted, "DISK_FULL",
                fmt::format("{}: the disk of the blob store is full; free space and try again", what));
  }
  return Fail(Code::kInternal, "BLOB_STORE_FAILED", fmt::format("{}: {}", what, std::system_category().message(error)));
}

Status SyncDirectory(const fs::path& directory) {
  const OwnedFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return IoError("opening the blob store", errno);
  if (fsync(fd.get()) != 0) return IoError("syncing the blob store", errno);
  return {};
}

// Makes the finished file `from` visible under its digest.
Result<Blob> Publish(const fs::path& root, const fs::path& from, std::string sha256, std::int64_t bytes) {
  Blob out{std::move(sha256), bytes, {}};
  out.path = root / out.sha256;
  if (rename(from.c_str(), out.path.c_str()) != 0) {
    const int error = errno;
    struct stat there {};
    // In a directory that several users share (sticky) nobody replaces a file of another: the same bytes are there.
    const bool same = (error == EPERM || error == EACCES) && lstat(out.path.c_str(), &there) == 0 &&
                      S_ISREG(there.st_mode) && there.st_size == bytes;
    if (!same) return IoError("moving a file into the blob store", error);
    unlink(from.c_str());
  }
  ALLOD_CHECK_OK(SyncDirectory(root));
  return out;
}

void RemoveLeftovers(const fs::path& incoming) {
  std::error_code error;
  const auto oldest = fs::file_time_type::clock::now() - kLeftoverAge;
  std::vector<fs::path> old;
  for (fs::directory_iterator it(incoming, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const auto written = it->last_write_time(ignored);
    if (!ignored && it->symlink_status(ignored).type() == fs::file_type::regular && written < oldest) {
      old.push_back(it->path());
    }
  }
  for (const fs::path& path : old) fs::remove(path, error);
}

}  // namespace

struct BlobStore::Writer::Impl {
  fs::path root;
  fs::path path;
  OwnedFd fd;
  std::int64_t bytes = 0;
  Sha256 digest;

  Impl(fs::path root_dir, fs::path file) : root(std::move(root_dir)), path(std::move(file)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (fd) unlink(path.c_str());
  }
};

BlobStore::Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlobStore::Writer::~Writer() = default;
BlobStore::Writer::Writer(Writer&&) noexcept = default;

std::int64_t BlobStore::Writer::bytes() const { return impl_ ? impl_->bytes : 0; }

Status BlobStore::Writer::Append(const void* data, std::size_t size) {
  if (!impl_ || !impl_->fd) return FailedPrecondition("WRITER_FINISHED", "the file was already committed");
  impl_->digest.Update(data, size);
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = write(impl_->fd.get(), from, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      return IoError("writing to the blob store", errno);
    }
    from += n;
    size -= static_cast<std::size_t>(n);
    impl_->bytes += n;
  }
  return {};
}

Result<Blob> BlobStore::Writer::Commit(const std::string& expected_sha256) {
  if (!impl_ || !impl_->fd) return FailedPrecondition("WRITER_FINISHED", "the file was already committed");
  const std::unique_ptr<Impl> impl = std::move(impl_);  // whatever happens, nothing stays in incoming/
  std::string sha256 = impl->digest.FinishHex();
  if (!expected_sha256.empty() && sha256 != expected_sha256) {
    return InvalidArgument("DIGEST_MISMATCH",
                           fmt::format("the {} bytes received have the SHA-256 {}, not the one announced; send the "
                                       "file again or correct its digest",
                                       impl->bytes, sha256));
  }
  if (fsync(impl->fd.get()) != 0) return IoError("syncing a file of the blob store", errno);
  ALLOD_TRY(Blob blob, Publish(impl->root, impl->path, std::move(sha256), impl->bytes));
  impl->fd.Reset();
  return blob;
}

Result<BlobStore> BlobStore::Open(const fs::path& root) {
  std::error_code error;
  fs::create_directories(Incoming(root), error);
  if (error) {
    return FailedPrecondition("CANNOT_OPEN_BLOB_STORE", fmt::format("cannot make the directory {}: {}",
                                                                    Incoming(root).string(), error.message()));
  }
  RemoveLeftovers(Incoming(root));
  return BlobStore(root);
}

Result<Blob> BlobStore::Find(const std::string& sha256) const {
  ALLOD_CHECK_OK(CheckSha256("sha256", sha256));
  Blob out{sha256, 0, root_ / sha256};
  struct stat info {};
  if (lstat(out.path.c_str(), &info) != 0) {
    if (errno == ENOENT) return NotFound(fmt::format("there is no file with the SHA-256 {}", sha256));
    return IoError("looking into the blob store", errno);
  }
  if (!S_ISREG(info.st_mode)) return NotFound(fmt::format("there is no file with the SHA-256 {}", sha256));
  out.bytes = info.st_size;
  return out;
}

Result<BlobStore::Writer> BlobStore::Create() {
  auto impl = std::make_unique<Writer::Impl>(root_, IncomingPath("upload"));
  impl->fd = OwnedFd(open(impl->path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  // Whatever the umask: the group is that of the processes that share the store.
  if (!impl->fd || fchmod(impl->fd.get(), kFileMode) != 0) return IoError("creating a file in the blob store", errno);
  return Writer(std::move(impl));
}

Result<Blob> BlobStore::Adopt(const fs::path& file) {
  const OwnedFd owned(open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const int fd = owned.get();
  if (fd < 0) {
    return NotFound(fmt::format("cannot read the file to adopt: {}", std::system_category().message(errno)));
  }
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return InvalidArgument("NOT_A_FILE", "only a regular file can be adopted");
  }
  Sha256 digest;
  std::int64_t bytes = 0;
  std::vector<char> buffer(kReadBytes);
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return IoError("reading the file to adopt", errno);
    if (n == 0) break;
    digest.Update(buffer.data(), static_cast<std::size_t>(n));
    bytes += n;
  }
  if (fchmod(fd, kFileMode) != 0 || fsync(fd) != 0) return IoError("syncing the file to adopt", errno);
  return Publish(root_, file, digest.FinishHex(), bytes);
}

fs::path BlobStore::IncomingPath(const std::string& stem) const {
  std::string safe = stem.substr(0, kStemMax);
  for (char& c : safe) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!plain) c = '_';
  }
  return Incoming(root_) / fmt::format("{}-{}", safe, Uuid::V7().ToString());
}

Status BlobStore::Remove(const std::string& sha256) {
  ALLOD_CHECK_OK(CheckSha256("sha256", sha256));
  if (unlink((root_ / sha256).c_str()) != 0 && errno != ENOENT) return IoError("removing from the blob store", errno);
  return {};
}

}  // namespace allod
